// The peer Chromium, headless: a page of its own, from a server of its own, that is a client of our server.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { chromium } = require('playwright-core');
const obey = require('./commands.js');

const SCRIPT = fs.readFileSync(path.join(__dirname, 'conversation.js'));

async function open() {
  const web = http.createServer(({ url }, response) => {
    const [type, body] =
      url === '/conversation.js'
        ? ['text/javascript', SCRIPT]
        : ['text/html', '<!doctype html><link rel="icon" href="data:,"><script src="conversation.js"></script>'];
    response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` }).end(body);
  });
  await new Promise((resolve) => web.listen(0, '127.0.0.1', resolve));
  const browser = await chromium.launch({ executablePath: process.argv[2], args: ['--no-sandbox'] });
  const page = await browser.newPage();
  const errors = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(`http://127.0.0.1:${web.address().port}/`);
  return { browser, page, errors };
}

const opened = open();

obey({
  async version() {
    const { browser } = await opened;
    return { version: browser.version() };
  },

  async client({ url, messages, seed }) {
    const { page, errors } = await opened;
    const result = await page.evaluate(
      async ({ url, messages, seed }) => {
        const socket = new WebSocket(url);
        const result = await converse(socket, messages, seed);
        return { agreed: socket.extensions || null, ...result };
      },
      { url, messages, seed },
    );
    const logged = errors.splice(0);
    return { ...result, error: result.error ?? logged[0] ?? null };
  },
});
