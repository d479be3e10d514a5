// The peer Firefox, headless, which needs no driver: its page asks its server for commands, and posts the answers.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const obey = require('./commands.js');
const serve = require('./page.js');

// In the page.
async function ask() {
  const ready = async () => ({});
  const client = async ({ url, messages, seed }) => {
    const socket = new WebSocket(url);
    const result = await converse(socket, messages, seed);
    // It tells the name only.
    return { agreed: socket.extensions === '' ? null : undefined, ...result };
  };
  for (;;) {
    const { name, rest } = await (await fetch('command')).json();
    const answer =
      name === 'visit' ? visit(new WebSocket(rest.url, rest.protocols), rest) : { ready, client }[name](rest);
    const body = JSON.stringify(await answer.catch((error) => ({ error: String(error) })));
    await fetch('answer', { method: 'POST', body });
  }
}

const PREFERENCES = {
  'browser.shell.checkDefaultBrowser': false,
  'browser.aboutwelcome.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  // It waits longer and longer to connect again, as for a server that fails.
  'network.websocket.delay-failed-reconnects': false,
};

const profile = process.argv[3];
fs.rmSync(profile, { recursive: true, force: true });
fs.mkdirSync(profile);
const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${value});\n`);
fs.writeFileSync(path.join(profile, 'user.js'), lines.join(''));

// The page waits for a command, or a command for the page; and who gave it for the answer.
let waiting = null;
let command = null;
let answered = null;

function meet() {
  if (!waiting || !command) return;
  waiting.end(JSON.stringify(command));
  waiting = command = null;
}

async function more(request, response) {
  if (request.url === '/command') {
    waiting = response;
    return meet();
  }
  const body = Buffer.concat(await request.toArray()).toString();
  response.end();
  answered?.(JSON.parse(body));
}

function pass(name, rest) {
  command = { name, rest };
  meet();
  return new Promise((resolve) => (answered = resolve));
}

serve(`(${ask})()`, more).then((url) => {
  const firefox = spawn(process.argv[2], ['--headless', '--no-remote', '--profile', profile, url], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  firefox.on('exit', () => process.exit(1));
  process.on('SIGTERM', () => process.exit());
  process.on('exit', () => firefox.kill());
});

obey(Object.fromEntries(['ready', 'visit', 'client'].map((name) => [name, (rest) => pass(name, rest)])));
