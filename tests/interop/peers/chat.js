// Chromium, headless, at the example `chat`: two tabs, and a server that goes away and comes back.
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');
const readline = require('node:readline');
const { chromium } = require('playwright-core');
const obey = require('./commands.js');

const [, , EXECUTABLE, CHAT, PICTURES] = process.argv;

let server = null;
let browser = null;
let tabs = [];
const errors = [];

// While nobody listens, Chromium itself logs this for every attempt to connect; no page can keep it from that.
const REFUSED = /^WebSocket connection to 'ws:\/\/[^']*\/chat' failed: .*net::ERR_CONNECTION_REFUSED$/;
let isAway = false;

// However this ends, neither is to outlive it.
process.on('SIGTERM', async () => {
  server?.kill('SIGKILL');
  await browser?.close();
  process.exit();
});

// Returns where it listens.
async function start(address) {
  server = spawn(CHAT, [address], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await new Promise((resolve) =>
    readline.createInterface(server.stdout).once('line', (...line) => resolve(line)),
  );
  return line;
}

async function stop() {
  const exited = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  await exited;
  server = null;
}

async function open(url, options) {
  const page = await (await browser.newContext(options)).newPage();
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !(isAway && REFUSED.test(message.text())))
      errors.push(message.text());
  });
  page.on('requestfailed', (request) => errors.push(`${request.url()}: ${request.failure().errorText}`));
  await page.goto(url);
  await isOpen(page);
  return page;
}

const isOpen = (page) => page.waitForSelector('#state.open', { timeout: 15000 });
const says = (page, text) =>
  page.waitForFunction((text) => document.querySelector('#lines').lastElementChild?.innerText === text, text);
const lines = (page) => page.$$eval('#lines li', (lines) => lines.map((line) => [line.className, line.innerText]));
const isLastInView = (page) =>
  page.$eval('#lines', (list) => list.scrollTop + list.clientHeight >= list.scrollHeight - 1);
const picture = (page, name) => page.screenshot({ path: path.join(PICTURES, `chat ${name}.png`) });

function same(found, expected) {
  if (JSON.stringify(found) !== JSON.stringify(expected))
    throw new Error(`${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
}

// Every step ends with what the browser has complained of meanwhile.
function steps(all) {
  const step = (work) => async (command) => {
    await work(command);
    return { error: errors.splice(0).join('; ') || null };
  };
  return Object.fromEntries(Object.entries(all).map(([name, work]) => [name, step(work)]));
}

// What looks like HTML is text, a tab stays, and so do characters beyond the BMP.
const TEXT = 'a <b>bold</b> claim:\t1 < 2 & 🦀';
let url;

obey(
  steps({
    async joins() {
      url = await start('127.0.0.1:0');
      browser = await chromium.launch({ executablePath: EXECUTABLE, args: ['--no-sandbox'], handleSIGTERM: false });
      const one = await open(url, { colorScheme: 'light' });
      const two = await open(url, { colorScheme: 'dark', viewport: { width: 390, height: 720 } });
      tabs = [one, two];
      await says(one, 'Guest 2 joined, 2 here');
      same(await lines(one), [
        ['note', 'You joined, 1 here'],
        ['note', 'Guest 2 joined, 2 here'],
      ]);
      same(await lines(two), [['note', 'You joined, 2 here']]);
      same(await two.innerText('#state'), '2 here, you are Guest 2');
    },

    async talks() {
      const [one, two] = tabs;
      await one.fill('#text', TEXT);
      await one.press('#text', 'Enter');
      await says(two, `Guest 1\n${TEXT}`);
      same(await one.inputValue('#text'), '');
      await two.fill('#text', '    ');
      await two.click('#send');
      await two.fill('#text', 'Really?');
      await two.click('#send');
      await says(one, 'Guest 2\nReally?');
      same(await two.evaluate(() => document.activeElement.id), 'text');
      same((await lines(two)).slice(1), [
        ['said', `Guest 1\n${TEXT}`],
        ['said mine', 'Really?'],
      ]);
      same((await lines(one)).slice(2), [
        ['said mine', TEXT],
        ['said', 'Guest 2\nReally?'],
      ]);
    },

    async 'says a lot'() {
      const [one, two] = tabs;
      for (let number = 1; number <= 30; number++) {
        await one.fill('#text', `${number}: ${'all work and no play '.repeat(number % 7)}`.trim());
        await one.press('#text', 'Enter');
      }
      // As long as the page lets it be, of the longest characters.
      await two.fill('#text', '€'.repeat(1000));
      await two.press('#text', 'Enter');
      await says(one, `Guest 2\n${'€'.repeat(1000)}`);
      await two.fill('#text', 'Enough.');
      await two.press('#text', 'Enter');
      await says(one, 'Guest 2\nEnough.');
      await picture(one, 'light');
      await picture(two, 'dark, narrow');
      for (const page of tabs) {
        const isTooLarge = await page.evaluate(() => {
          const { scrollWidth, scrollHeight } = document.documentElement;
          return scrollWidth > innerWidth || scrollHeight > innerHeight;
        });
        same([await isLastInView(page), isTooLarge], [true, false]);
      }
    },

    async reads() {
      const [one, two] = tabs;
      await one.$eval('#lines', (list) => (list.scrollTop = 0));
      await two.fill('#text', 'Still there?');
      await two.press('#text', 'Enter');
      await says(one, 'Guest 2\nStill there?');
      same(await one.$eval('#lines', (list) => list.scrollTop), 0);
      await picture(one, 'beginning');
      await one.fill('#text', 'Yes.');
      await one.press('#text', 'Enter');
      await says(one, 'Yes.');
      same(await isLastInView(one), true);
    },

    async 'is left alone'() {
      isAway = true;
      await stop();
      for (const page of tabs) {
        await page.waitForSelector('#state:not(.open)');
        same(await page.innerText('#state'), 'reconnecting …');
        same(await page.isDisabled('#send'), true);
        // What is typed meanwhile is kept.
        await page.fill('#text', 'Anybody?');
        await page.press('#text', 'Enter');
        same(await page.inputValue('#text'), 'Anybody?');
      }
      await picture(tabs[0], 'alone');
    },

    async 'comes back'() {
      const attempts = tabs.map((page) => page.waitForEvent('websocket'));
      await Promise.all(attempts);
      same(await start(new URL(url).host), url);
      await Promise.all(tabs.map(isOpen));
      isAway = false;
      const [one, two] = tabs;
      await one.press('#text', 'Enter');
      await two.waitForFunction(() =>
        document.querySelector('#lines').lastElementChild.innerText.endsWith('\nAnybody?'),
      );
      await one.fill('#text', 'There you are.');
      await one.press('#text', 'Enter');
      await two.waitForFunction(() =>
        document.querySelector('#lines').lastElementChild.innerText.endsWith('There you are.'),
      );
      await picture(one, 'again');
    },

    async leaves() {
      const [one, two] = tabs;
      const [, number] = (await one.innerText('#state')).match(/you are Guest (\d)$/);
      await one.close();
      await says(two, `Guest ${number} left, 1 here`);
    },

    async 'gives up'() {
      await browser.close();
      await stop();
    },
  }),
);
