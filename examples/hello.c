/* SPDX-License-Identifier: BSD-3-Clause */
/* hello.c - opens a client, sets and gets a value, and looks at each outcome.
 * usage: hello [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>

/* Status says what may be concluded, cause says why. */
static int failed(const char *what, const pmx_reply *reply)
{
  fprintf(stderr, "%s: %s/%s: %s\n", what, pmx_status_str(pmx_reply_status(reply)),
          pmx_cause_str(pmx_reply_cause(reply)), pmx_reply_error(reply));
  return -1;
}

static int set_and_get(pmx_client *client, const char *key, const char *value)
{
  pmx_reply *reply = pmx_command(client, "SET %s %s EX %d", key, value, 60);
  const char *text;
  size_t len;
  int result = 0;

  if (!pmx_ok(reply))
    result = failed("SET", reply);
  pmx_reply_free(reply);
  if (result != 0)
    return result;

  reply = pmx_do(client, NULL, "GET", key, (char *)NULL);
  if (!pmx_ok(reply))
    result = failed("GET", reply);
  else if ((text = pmx_reply_str(reply, &len)) != NULL)
    printf("%s = %.*s\n", key, (int)len, text);
  else
    printf("%s has gone\n", key); /* a nil reply is an answer, not an error */
  pmx_reply_free(reply);
  return result;
}

/* What the server refuses is a status of its own: the connection is fine, the command was not. */
static int provoke_an_error(pmx_client *client, const char *key)
{
  pmx_reply *reply = pmx_do(client, NULL, "LPUSH", key, "x", (char *)NULL);
  int result = 0;

  if (pmx_reply_status(reply) == PMX_SERVER_ERROR)
    printf("LPUSH is refused, as it should be: %s\n", pmx_reply_error_code(reply));
  else
    result = failed("LPUSH", reply);
  pmx_reply_free(reply);
  return result;
}

int main(int argc, char **argv)
{
  static const char key[] = "poolmux:example:hello";
  const char *url = argc > 1 ? argv[1] : getenv("POOLMUX_URL");
  pmx_reply *err;
  pmx_client *client = pmx_open(url, NULL, &err);
  int result;

  if (!client) {
    failed("open", err);
    pmx_reply_free(err);
    return 1;
  }
  result = set_and_get(client, key, "Hello, world");
  if (result == 0)
    result = provoke_an_error(client, key);
  if (pmx_reply_finish(pmx_do(client, NULL, "DEL", key, (char *)NULL)) != PMX_OK)
    result = -1;
  pmx_unref(client);
  return result == 0 ? 0 : 1;
}
