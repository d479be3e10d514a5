// The peer Chromium, headless: a page of its own, from a server of its own, that is a client of our server.
'use strict';

const { chromium } = require('playwright-core');
const obey = require('./commands.js');
const serve = require('./page.js');

async function open() {
  const url = await serve();
  const browser = await chromium.launch({ executablePath: process.argv[2], args: ['--no-sandbox'] });
  const page = await browser.newPage();
  const errors = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(url);
  return { page, errors };
}

const opened = open();

obey({
  async ready() {
    await opened;
    return {};
  },

  async visit(command) {
    const { page, errors } = await opened;
    const record = await page.evaluate(
      (command) => visit(new WebSocket(command.url, command.protocols), command),
      command,
    );
    const [logged] = errors.splice(0);
    // What it logs of an opening handshake that failed is no news.
    return { ...record, error: record.opened ? logged : undefined };
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
