// Bun's own server, which is uWebSockets: what a turn of its loop sends goes out together.
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 400 })),
  websocket: {
    ...JSON.parse(process.argv[2]),
    message: (socket, message) => void socket.send(message),
  },
});
console.log(`127.0.0.1:${server.port}`);
