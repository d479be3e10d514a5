// What a browser is given: a page with the scripts of a client, at an address of this machine.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const SCRIPTS = ['conversation.js', 'messages.js', 'visit.js'];
const HEAD = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">';

// Its URL. `script` is run in it, and `more` answers what is no part of the page.
module.exports = async function serve(script = '', more = (_, response) => response.writeHead(404).end()) {
  const tags = SCRIPTS.map((name) => `<script src="${name}"></script>`).join('');
  const web = http.createServer((request, response) => {
    const name = request.url.slice(1);
    if (name !== '' && !SCRIPTS.includes(name)) return more(request, response);
    const [type, body] = name
      ? ['text/javascript', fs.readFileSync(path.join(__dirname, name))]
      : ['text/html', `${HEAD}${tags}<script>${script}</script>`];
    response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` }).end(body);
  });
  await new Promise((resolve) => web.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${web.address().port}/`;
};
