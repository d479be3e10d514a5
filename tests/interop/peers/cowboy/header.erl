%% A stream handler that tells the server which extensions the response names.
-module(header).
-behaviour(cowboy_stream).

-export([init/3, data/4, info/3, terminate/3, early_error/5]).

init(StreamID, Req, Opts) ->
	cowboy_stream:init(StreamID, Req, Opts).

data(StreamID, IsFin, Data, Next0) ->
	{Commands, Next} = cowboy_stream:data(StreamID, IsFin, Data, Next0),
	{Commands, Next}.

info(StreamID, Info, Next) ->
	case Info of
		{switch_protocol, Headers, _, _} ->
			Header = maps:get(<<"sec-websocket-extensions">>, Headers, []),
			server ! {header, case iolist_to_binary(Header) of <<>> -> null; Agreed -> Agreed end};
		_ ->
			ok
	end,
	cowboy_stream:info(StreamID, Info, Next).

terminate(StreamID, Reason, Next) ->
	cowboy_stream:terminate(StreamID, Reason, Next).

early_error(StreamID, Reason, PartialReq, Resp, Opts) ->
	cowboy_stream:early_error(StreamID, Reason, PartialReq, Resp, Opts).
