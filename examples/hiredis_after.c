/* SPDX-License-Identifier: BSD-3-Clause */
/* hiredis_after.c - hiredis_before.c with poolmux. The client may be used by all threads; what
 * takes too long, or is lost, ends one call and not the connection to everything. usage:
 * hiredis_after [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>

static const char key[] = "poolmux:example:after";

static void print_text(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++)
    printf(text[i] < ' ' || text[i] > '~' ? "\\x%02x" : "%c", (unsigned char)text[i]);
}

/* Takes the reply. What hiredis says with NULL is one, too: with a status, a cause and a text. */
static void show(const char *what, pmx_reply *reply)
{
  size_t len;
  const char *text = pmx_reply_str(reply, &len);

  if (!pmx_ok(reply) && pmx_reply_status(reply) != PMX_SERVER_ERROR) {
    fprintf(stderr, "%s: %s: %s\n", what, pmx_status_str(pmx_reply_status(reply)),
            pmx_reply_error(reply));
    exit(1);
  }
  printf("%s: ", what);
  if (pmx_reply_type(reply) == PMX_TYPE_NIL)
    printf("(nil)");
  else if (pmx_reply_type(reply) == PMX_TYPE_INTEGER)
    printf("%lld", (long long)pmx_reply_int(reply, NULL));
  else if (!pmx_ok(reply))
    printf("refused");
  else
    print_text(text, len);
  for (size_t i = 0; i < pmx_reply_len(reply); i++) {
    printf("[%zu] ", i);
    text = pmx_reply_str(pmx_reply_at(reply, i), &len);
    print_text(text, len);
  }
  printf("\n");
  pmx_reply_free(reply);
}

int main(int argc, char **argv)
{
  static const char bytes[] = "\0\1 two words\r\n";
  pmx_options *options = pmx_options_new();
  pmx_batch *batch;
  pmx_reply *reply;
  pmx_client *c;

  pmx_options_set(options, "connect_timeout", "1500ms");
  pmx_options_set(options, "command_timeout", "1500ms");
  c = pmx_open(argc > 1 ? argv[1] : getenv("POOLMUX_URL"), options, &reply);
  pmx_options_free(options);
  if (!c)
    show("connect", reply);
  show("PING", pmx_command(c, "PING"));
  show("SET", pmx_command(c, "SET %s:text %s", key, "Hello, world"));
  show("GET", pmx_command(c, "GET %s:text", key));
  show("SET", pmx_command(c, "SET %s:bytes %b", key, bytes, sizeof bytes - 1));
  show("GET", pmx_command(c, "GET %s:bytes", key));
  show("GET", pmx_command(c, "GET %s:nothing", key));
  show("INCR", pmx_command(c, "INCR %s:text", key)); /* no number */
  batch = pmx_batch_new(c);
  for (int i = 0; i < 3; i++) /* sent together */
    pmx_batch_add(batch, "LPUSH %s:list element-%d", key, i);
  reply = pmx_batch_exec(batch, NULL);
  for (size_t i = 0; i < 3; i++)
    show("LPUSH", pmx_reply_ref(pmx_reply_at(reply, i)));
  pmx_reply_free(reply);
  pmx_batch_free(batch);
  show("LRANGE", pmx_command(c, "LRANGE %s:list 0 -1", key));
  show("DEL", pmx_command(c, "DEL %s:text %s:bytes %s:list", key, key, key));
  pmx_unref(c);
  return 0;
}
