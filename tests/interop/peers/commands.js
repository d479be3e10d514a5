// Commands come as lines of JSON, and each is answered with one.
'use strict';

const readline = require('node:readline');

module.exports = async function obey(commands) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { command, ...rest } = JSON.parse(line);
    let answer;
    try {
      answer = await commands[command](rest);
    } catch (error) {
      answer = { error: String(error) };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
  process.exit();
};
