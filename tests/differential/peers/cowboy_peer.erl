%% The peer Cowboy: its own cowboy_websocket on streams that come on standard input. Batches and verdicts are as
%% in batches.py. What Cowboy takes for a stream of HTTP/2 (RFC 8441) is this process, so nothing is opened or
%% listened to.
-module(cowboy_peer).

-export([start/0]).
-export([init/2, websocket_handle/2, websocket_info/2, terminate/3]).

start() ->
    logger:set_primary_config(level, none),
    %% For the Date header of the response.
    {ok, _} = cowboy_clock:start_link(),
    Port = open_port({fd, 0, 1}, [binary, {packet, 4}, eof]),
    ok = application:load(cowboy),
    {ok, Version} = application:get_key(cowboy, vsn),
    port_command(Port, Version),
    serve(Port).

serve(Port) ->
    receive
        {Port, {data, Batch}} ->
            port_command(Port, verdicts(Batch)),
            serve(Port);
        {Port, eof} ->
            halt()
    end.

verdicts(<<>>) ->
    [];
verdicts(<<1, MaxMessage:32, Compressed, RemoteAnew, RemoteBits, LocalAnew, LocalBits, Length:32,
        Stream:Length/binary, Rest/binary>>) ->
    Parameters = [
        ["; client_max_window_bits=", integer_to_list(RemoteBits)],
        ["; server_max_window_bits=", integer_to_list(LocalBits)],
        ["; client_no_context_takeover" || RemoteAnew =:= 1],
        ["; server_no_context_takeover" || LocalAnew =:= 1]
    ],
    Headers = case Compressed of
        1 -> #{<<"sec-websocket-extensions">> => iolist_to_binary(["permessage-deflate", Parameters])};
        0 -> #{}
    end,
    [verdict(MaxMessage, Headers, Stream) | verdicts(Rest)].

verdict(MaxMessage, Headers, Stream) ->
    Id = {self(), make_ref()},
    {_, StreamId} = Id,
    Request = #{
        version => 'HTTP/2', method => <<"CONNECT">>, protocol => <<"websocket">>,
        headers => Headers#{<<"sec-websocket-version">> => <<"13">>},
        ref => ?MODULE, pid => self(), streamid => StreamId
    },
    Options = #{compress => true, idle_timeout => infinity, max_frame_size => MaxMessage},
    {Pid, Monitor} = spawn_monitor(cowboy_websocket, upgrade, [Request, #{}, ?MODULE, Id, Options]),
    receive
        {Id, {switch_protocol, Response, _, _}} ->
            true = is_map_key(<<"sec-websocket-extensions">>, Headers)
                =:= is_map_key(<<"sec-websocket-extensions">>, Response)
    end,
    Pid ! {request_body, make_ref(), nofin, Stream},
    Pid ! is_open,
    Verdict = collect(Id, Monitor, [], <<"f", 0:16>>),
    demonitor(Monitor, [flush]),
    exit(Pid, kill),
    Verdict.

%% Events up to the end. A process that dies sends no Close.
collect(Id, Monitor, Events, End) ->
    receive
        {Id, {event, Tag, Payload}} ->
            collect(Id, Monitor, [Events, Tag, <<(byte_size(Payload)):32>>, Payload], End);
        {Id, {data, fin, Close}} ->
            Code = case iolist_to_binary(Close) of
                <<16#88, 0>> -> 0;
                <<16#88, _, Sent:16, _/binary>> -> Sent
            end,
            collect(Id, Monitor, Events, <<"f", Code:16>>);
        {Id, closed} ->
            <<"f", Code:16>> = End,
            collect(Id, Monitor, Events, <<"c", Code:16>>);
        {Id, is_open} ->
            [Events, <<".", 0:16>>];
        {Id, _} ->
            collect(Id, Monitor, Events, End);
        {'DOWN', Monitor, process, _, _} ->
            [Events, End]
    end.

%% The handler, which runs in the process of its connection.

init(Request, State) ->
    {cowboy_websocket, Request, State}.

websocket_handle(Frame, Id) ->
    case Frame of
        ping -> event(Id, <<"P">>, <<>>);
        pong -> event(Id, <<"O">>, <<>>);
        {ping, Payload} -> event(Id, <<"P">>, Payload);
        {pong, Payload} -> event(Id, <<"O">>, Payload);
        {text, Payload} -> event(Id, <<"T">>, Payload);
        {binary, Payload} -> event(Id, <<"B">>, Payload)
    end,
    {[], Id}.

websocket_info(is_open, Id = {Peer, _}) ->
    Peer ! {Id, is_open},
    {[], Id}.

terminate(Reason, _, Id = {Peer, _}) ->
    case Reason of
        remote -> event(Id, <<"C">>, <<>>), Peer ! {Id, closed};
        {remote, Code, Payload} -> event(Id, <<"C">>, <<Code:16, Payload/binary>>), Peer ! {Id, closed};
        _ -> ok
    end,
    ok.

event(Id = {Peer, _}, Tag, Payload) ->
    Peer ! {Id, {event, Tag, Payload}}.
