// The peer Netty: a client of our server, or an echo server, with `deflate-frame` or `x-webkit-deflate-frame`, which
// compresses each frame for itself.
//
// Commands come as lines of JSON, without anything nested or escaped in them, and each is answered with one.

import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.EmptyHttpHeaders;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.websocketx.BinaryWebSocketFrame;
import io.netty.handler.codec.http.websocketx.CloseWebSocketFrame;
import io.netty.handler.codec.http.websocketx.ContinuationWebSocketFrame;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketClientHandshakerFactory;
import io.netty.handler.codec.http.websocketx.WebSocketClientProtocolHandler;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketFrameAggregator;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler;
import io.netty.handler.codec.http.websocketx.WebSocketVersion;
import io.netty.handler.codec.http.websocketx.extensions.WebSocketClientExtensionHandler;
import io.netty.handler.codec.http.websocketx.extensions.WebSocketServerExtensionHandler;
import io.netty.handler.codec.http.websocketx.extensions.compression.DeflateFrameClientExtensionHandshaker;
import io.netty.handler.codec.http.websocketx.extensions.compression.DeflateFrameServerExtensionHandshaker;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Random;
import java.util.Scanner;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Peer {
    static final String EXTENSIONS = "Sec-WebSocket-Extensions";
    static final int MAX = 4 << 20;
    static final int LEVEL = 6;
    static final EventLoopGroup GROUP = new NioEventLoopGroup(1);

    static CompletableFuture<String> report;
    static Channel listening;

    public static void main(String[] arguments) throws Exception {
        Scanner lines = new Scanner(System.in, StandardCharsets.UTF_8);
        while (lines.hasNextLine()) {
            String line = lines.nextLine();
            String answer;
            try {
                answer = switch (field(line, "command")) {
                    case "client" -> client(line);
                    case "listen" -> listen(line);
                    case "report" -> report.get(30, TimeUnit.SECONDS);
                    default -> throw new IllegalArgumentException(line);
                };
            } catch (Exception error) {
                answer = report(null, 0, error.toString());
            }
            System.out.println(answer);
        }
        System.exit(0);
    }

    static String field(String line, String name) {
        Matcher found = Pattern.compile("\"" + name + "\": (?:\"([^\"]*)\"|([^,}]*))").matcher(line);
        if (!found.find()) throw new IllegalArgumentException("no " + name + " in " + line);
        return found.group(1) != null ? found.group(1) : found.group(2);
    }

    static String report(String agreed, int messages, String error) {
        return "{\"agreed\": " + quote(agreed) + ", \"messages\": " + messages + ", \"error\": " + quote(error) + "}";
    }

    static String quote(String text) {
        return text == null ? "null" : '"' + text.replaceAll("[\"\\\\\\p{Cntrl}]", "'") + '"';
    }

    // The client

    static String client(String line) throws Exception {
        URI url = new URI(field(line, "url"));
        boolean isWebkit = field(line, "extension").startsWith("x-webkit");
        CompletableFuture<String> done = new CompletableFuture<>();
        Talk talk = new Talk(line, done);
        Channel channel = new Bootstrap().group(GROUP).channel(NioSocketChannel.class).handler(initializer(
            new HttpClientCodec(),
            new Look(talk),
            new HttpObjectAggregator(65536),
            new WebSocketClientExtensionHandler(new DeflateFrameClientExtensionHandshaker(LEVEL, isWebkit)),
            new WebSocketClientProtocolHandler(WebSocketClientHandshakerFactory.newHandshaker(
                url, WebSocketVersion.V13, null, true, EmptyHttpHeaders.INSTANCE, MAX), false),
            new WebSocketFrameAggregator(MAX),
            talk
        )).connect(url.getHost(), url.getPort()).sync().channel();
        try {
            return done.get(150, TimeUnit.SECONDS);
        } finally {
            channel.close();
        }
    }

    /** Sends messages, some ahead, and compares what comes back; then closes. */
    static class Talk extends End {
        static final int AHEAD = 64;

        final int count;
        final Random random;
        final boolean inFragments;
        final ArrayDeque<Object> ahead = new ArrayDeque<>();
        int made;

        Talk(String line, CompletableFuture<String> done) {
            super(done);
            count = Integer.parseInt(field(line, "messages"));
            random = new Random(Long.parseLong(field(line, "seed")));
            inFragments = field(line, "fragments").equals("true");
        }

        @Override
        public void userEventTriggered(ChannelHandlerContext context, Object event) {
            if (event == WebSocketClientProtocolHandler.ClientHandshakeStateEvent.HANDSHAKE_COMPLETE) pump(context);
        }

        void pump(ChannelHandlerContext context) {
            while (made < count && ahead.size() < AHEAD) {
                Object message = make(random, ++made);
                ahead.add(message);
                send(context, message, inFragments && made % 4 == 0);
            }
            context.flush();
            if (messages == count) context.writeAndFlush(new CloseWebSocketFrame(1000, ""));
        }

        @Override
        void came(ChannelHandlerContext context, Object message) {
            Object sent = ahead.poll();
            boolean isSame = message instanceof byte[] bytes && sent instanceof byte[] others
                ? Arrays.equals(bytes, others) : message.equals(sent);
            if (!isSame) throw new IllegalStateException("message " + (messages + 1) + " came back differently");
            messages++;
            pump(context);
        }
    }

    // The server

    static String listen(String line) throws Exception {
        if (listening != null) listening.close().sync();
        CompletableFuture<String> done = report = new CompletableFuture<>();
        boolean inFragments = field(line, "fragments").equals("true");
        String only = field(line, "only");
        listening = new ServerBootstrap().group(GROUP).channel(NioServerSocketChannel.class).childHandler(
            new ChannelInitializer<Channel>() {
                @Override
                protected void initChannel(Channel channel) {
                    Echo echo = new Echo(inFragments, done);
                    channel.pipeline().addLast(
                        new HttpServerCodec(),
                        new Look(echo, only),
                        new HttpObjectAggregator(65536),
                        new WebSocketServerExtensionHandler(new DeflateFrameServerExtensionHandshaker(LEVEL)),
                        new WebSocketServerProtocolHandler("/", null, true, MAX, false, true),
                        new WebSocketFrameAggregator(MAX),
                        echo
                    );
                }
            }
        ).bind("127.0.0.1", 0).sync().channel();
        return "{\"port\": " + ((InetSocketAddress) listening.localAddress()).getPort() + "}";
    }

    static class Echo extends End {
        final boolean inFragments;

        Echo(boolean inFragments, CompletableFuture<String> done) {
            super(done);
            this.inFragments = inFragments;
        }

        @Override
        void came(ChannelHandlerContext context, Object message) {
            messages++;
            send(context, message, inFragments && messages % 4 == 0);
            context.flush();
        }
    }

    // Both

    /** What is at an end of the pipeline, and reports when the connection does not go on. */
    abstract static class End extends SimpleChannelInboundHandler<WebSocketFrame> {
        final CompletableFuture<String> done;
        String agreed;
        int messages;
        int closed = 1006;
        Throwable error;

        End(CompletableFuture<String> done) {
            this.done = done;
        }

        abstract void came(ChannelHandlerContext context, Object message);

        @Override
        protected void channelRead0(ChannelHandlerContext context, WebSocketFrame frame) {
            if (frame instanceof TextWebSocketFrame text) came(context, text.text());
            if (frame instanceof BinaryWebSocketFrame) came(context, ByteBufUtil.getBytes(frame.content()));
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable error) {
            this.error = error;
            context.close();
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            String wrong = error != null ? error.toString() : closed == 1000 ? null : "closed with " + closed;
            done.complete(report(agreed, messages, wrong));
        }
    }

    /** Sees what of the other side Netty handles by itself. */
    static class Look extends ChannelInboundHandlerAdapter {
        final End end;
        final String only;

        Look(End end) {
            this(end, null);
        }

        /** Of what is offered, lets this be seen only. */
        Look(End end, String only) {
            this.end = end;
            this.only = only;
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            if (message instanceof HttpMessage http) {
                HttpHeaders headers = http.headers();
                if (only != null) {
                    String[] offers = headers.get(EXTENSIONS, "").split(", *");
                    headers.set(EXTENSIONS, Arrays.asList(offers).contains(only) ? only : "nothing");
                }
                // The answer to a lone offer is that offer; whether it is one is seen on the other side.
                end.agreed = headers.get(EXTENSIONS);
            }
            if (message instanceof CloseWebSocketFrame close) end.closed = close.statusCode();
            context.fireChannelRead(message);
        }
    }

    static ChannelHandler initializer(ChannelHandler... handlers) {
        return new ChannelInitializer<Channel>() {
            @Override
            protected void initChannel(Channel channel) {
                channel.pipeline().addLast(handlers);
            }
        };
    }

    static void send(ChannelHandlerContext context, Object message, boolean inFragments) {
        boolean isText = message instanceof String;
        ByteBuf bytes = Unpooled.wrappedBuffer(
            isText ? ((String) message).getBytes(StandardCharsets.UTF_8) : (byte[]) message);
        if (!inFragments) {
            context.write(isText ? new TextWebSocketFrame(bytes) : new BinaryWebSocketFrame(bytes));
            return;
        }
        int quarter = bytes.readableBytes() / 4;
        ByteBuf first = bytes.readRetainedSlice(quarter), second = bytes.readRetainedSlice(quarter);
        context.write(isText ? new TextWebSocketFrame(false, 0, first) : new BinaryWebSocketFrame(false, 0, first));
        context.write(new ContinuationWebSocketFrame(false, 0, second));
        context.write(new ContinuationWebSocketFrame(true, 0, bytes));
    }

    /** A message, of the sorts that compressors meet: a string or bytes. */
    static Object make(Random random, int index) {
        if (index % 250 == 125) return collage(random, 1 << 20);
        return switch (random.nextInt(8)) {
            case 0 -> "";
            case 1 -> new byte[0];
            case 2 -> "naïve 日本語 🦀 ".repeat(random.nextInt(300));
            case 3 -> "{\"id\": " + random.nextInt(10000) + ", \"value\": " + random.nextDouble() + "}";
            case 4, 5 -> {
                byte[] noise = new byte[random.nextInt(4000)];
                random.nextBytes(noise);
                yield noise;
            }
            default -> collage(random, random.nextInt(100_000));
        };
    }

    /** Some bytes of noise, then some from further up, and so on: matches of every length and distance. */
    static byte[] collage(Random random, int length) {
        byte[] bytes = new byte[length];
        int end = 0;
        while (end < length) {
            int fresh = Math.min(random.nextInt(30), length - end);
            for (int left = fresh; left > 0; left--) bytes[end++] = (byte) random.nextInt();
            // Up to twice the largest window, mostly near.
            int start = Math.max(0, end - 1 - random.nextInt(1 << random.nextInt(17)));
            int copied = Math.min(random.nextInt(300), Math.min(end - start, length - end));
            System.arraycopy(bytes, start, bytes, end, copied);
            end += copied;
        }
        return bytes;
    }
}
