/* SPDX-License-Identifier: BSD-3-Clause */
/* script.c - allows somebody so many requests a second: a Lua script counts and sets the time limit
 * in one step, from as many threads and programs as there are. usage: script [URL]     default:
 * $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "poolmux:example:rate"
enum { LIMIT = 3, REQUESTS = 5 };

static const char lua[] = "local n = redis.call('INCR', KEYS[1]) "
                          "if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end "
                          "if n <= tonumber(ARGV[1]) then return 1 end "
                          "return 0";

/* 1 = allowed, 0 = too many, -1 = the server cannot tell. */
static int allowed(pmx_client *client, pmx_script *script, const char *who)
{
  const char *argv[] = {who, "3", "60000"}; /* one key, LIMIT, and in how many milliseconds */
  pmx_reply *reply = pmx_script_run(client, NULL, script, 1, 3, argv, NULL);
  int ok, result = (int)pmx_reply_int(reply, &ok);

  if (!ok)
    fprintf(stderr, "script: %s\n", pmx_reply_error(reply));
  pmx_reply_free(reply);
  return ok ? result : -1;
}

int main(int argc, char **argv)
{
  const char *url = argc > 1 ? argv[1] : getenv("POOLMUX_URL");
  pmx_reply *err;
  pmx_client *client = pmx_open(url, NULL, &err);
  pmx_script *script = pmx_script_new(lua, strlen(lua));
  int served = 0;

  if (!client)
    fprintf(stderr, "open: %s\n", pmx_reply_error(err));
  pmx_reply_free(err);
  for (int i = 1; i <= REQUESTS && client; i++) {
    int answer = allowed(client, script, KEY);

    printf("request %d: %s\n", i, answer > 0 ? "served" : answer == 0 ? "too many" : "failed");
    served += answer > 0;
  }
  pmx_reply_free(pmx_command(client, "DEL %s", KEY));
  pmx_script_free(script);
  pmx_unref(client);
  return served == LIMIT ? 0 : 1;
}
