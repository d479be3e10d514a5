%% The peer Cowboy: a server that echoes, unless the path says otherwise. Commands come as lines of JSON, and each
%% is answered with one.
-module(server).

-export([main/0]).
-export([init/2, websocket_init/1, websocket_handle/2, websocket_info/2, terminate/3]).

-define(PING, <<"are you there?">>).
-define(DONE, {close, 4000, <<"done">>}).
-define(LIMIT, 1000).
%% Milliseconds.
-define(PATIENCE, 1000).

main() ->
	{ok, _} = application:ensure_all_started(cowboy),
	Routes = cowboy_router:compile([{'_', [{'_', ?MODULE, []}]}]),
	{ok, _} = cowboy:start_clear(server, [{ip, {127, 0, 0, 1}}, {port, 0}], #{
		env => #{dispatch => Routes},
		stream_handlers => [header, cowboy_stream_h]
	}),
	true = register(server, self()),
	commands().

commands() ->
	case io:get_line("") of
		eof ->
			halt();
		Line ->
			io:put_chars([jsx:encode(command(jsx:decode(unicode:characters_to_binary(Line), [return_maps]))), $\n]),
			commands()
	end.

%% For the next connection; what was told of the last is forgotten.
command(Command = #{<<"command">> := <<"listen">>}) ->
	flush(),
	persistent_term:put(opts, opts(Command)),
	persistent_term:put(only, maps:get(<<"only">>, Command, null)),
	#{port => ranch:get_port(server)};
command(#{<<"command">> := <<"report">>}) ->
	Agreed = receive {header, Header} -> Header after 10000 -> null end,
	receive
		{ended, Messages, Reason} -> #{agreed => Agreed, messages => Messages, error => wrong(Reason)}
	after 10000 ->
		#{agreed => Agreed, error => <<"no connection ended">>}
	end.

flush() ->
	receive _ -> flush() after 0 -> ok end.

wrong({remote, 1000, _}) -> null;
wrong(Reason) -> unicode:characters_to_binary(io_lib:format("~0p", [Reason])).

opts(#{<<"params">> := null}) ->
	#{};
opts(#{<<"params">> := Params}) ->
	#{compress => true, deflate_opts => maps:fold(fun param/3, #{}, Params)}.

param(<<"server_no_context_takeover">>, true, Opts) -> Opts#{server_context_takeover => no_takeover};
param(<<"client_no_context_takeover">>, true, Opts) -> Opts#{client_context_takeover => no_takeover};
param(_, Absent, Opts) when Absent =:= false; Absent =:= null -> Opts;
%% Cowboy's own names and values.
param(Name, Value, Opts) when is_binary(Value) -> Opts#{binary_to_atom(Name) => binary_to_atom(Value)};
param(Name, Value, Opts) -> Opts#{binary_to_atom(Name) => Value}.

%% The WebSocket.

init(Req = #{path := <<"/refused">>}, State) ->
	{ok, cowboy_req:reply(403, #{<<"content-type">> => <<"text/plain">>}, <<"not today">>, Req), State};
init(Req0 = #{path := Path}, _) ->
	Opts = persistent_term:get(opts),
	Req = subprotocol(offers(Req0, persistent_term:get(only))),
	{cowboy_websocket, Req, {Path, 0}, case Path of
		<<"/limited">> -> Opts#{max_frame_size => ?LIMIT};
		<<"/kept">> -> Opts#{idle_timeout => ?PATIENCE};
		<<"/idle">> -> Opts#{idle_timeout => ?PATIENCE};
		_ -> Opts
	end}.

%% Cowboy takes the first offer that it knows: unless all others are kept from it.
offers(Req, null) ->
	Req;
offers(Req = #{headers := Headers}, Only) ->
	Offers = binary:split(maps:get(<<"sec-websocket-extensions">>, Headers), <<",">>, [global, trim_all]),
	[Offer] = [Offer || Offer <- Offers, binary:match(Offer, Only) =/= nomatch],
	Req#{headers := Headers#{<<"sec-websocket-extensions">> := Offer}}.

subprotocol(Req) ->
	case lists:member(<<"second">>, cowboy_req:parse_header(<<"sec-websocket-protocol">>, Req, [])) of
		true -> cowboy_req:set_resp_header(<<"sec-websocket-protocol">>, <<"second">>, Req);
		false -> Req
	end.

websocket_init(State = {<<"/talks">>, _}) ->
	{[{text, <<"text">>}, {binary, <<"binary">>}, {text, [<<"in ">>, <<"pieces">>]}, {ping, ?PING}], State};
websocket_init(State) ->
	{[], State}.

websocket_handle({Type, _}, {Path = <<"/closes">>, Count}) when Type =:= text ->
	{[?DONE], {Path, Count + 1}};
websocket_handle(Frame = {Type, _}, {Path, Count}) when Type =:= text; Type =:= binary ->
	{[Frame], {Path, Count + 1}};
websocket_handle({pong, ?PING}, State = {<<"/talks">>, _}) ->
	{[?DONE], State};
websocket_handle(_, State) ->
	{[], State}.

websocket_info(_, State) ->
	{[], State}.

terminate(Reason, _, {_, Count}) ->
	server ! {ended, Count, Reason},
	ok;
terminate(_, _, _) ->
	ok.
