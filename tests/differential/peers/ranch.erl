%% Cowboy tells Ranch when it takes over a connection. There is none here.
-module(ranch).

-export([remove_connection/1]).

remove_connection(_) ->
    ok.
