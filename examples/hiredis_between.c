/* SPDX-License-Identifier: BSD-3-Clause */
/* hiredis_between.c - hiredis_before.c half way to poolmux: what reads replies stays as it is, and
 * gets them from poolmux through libpoolmux-hiredis.
 * usage: hiredis_between [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

static const char key[] = "poolmux:example:between";

static void print_text(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++)
    printf(text[i] < ' ' || text[i] > '~' ? "\\x%02x" : "%c", (unsigned char)text[i]);
}

/* As it was, but for the error: `rest` is what err and errstr of the context were. */
static void show(const pmx_reply *rest, const char *what, redisReply *reply)
{
  if (!reply) {
    fprintf(stderr, "%s: error %d: %s\n", what, pmx_hiredis_err(rest), pmx_reply_error(rest));
    exit(1);
  }
  printf("%s: ", what);
  if (reply->type == REDIS_REPLY_NIL)
    printf("(nil)");
  else if (reply->type == REDIS_REPLY_INTEGER)
    printf("%lld", reply->integer);
  else if (reply->type == REDIS_REPLY_ERROR)
    printf("refused");
  else
    print_text(reply->str, reply->str ? reply->len : 0);
  for (size_t i = 0; i < reply->elements; i++) {
    printf("[%zu] ", i);
    print_text(reply->element[i]->str, reply->element[i]->len);
  }
  printf("\n");
  freeReplyObject(reply);
}

static void show_taken(const char *what, pmx_reply *from)
{
  pmx_reply *rest;
  redisReply *reply = pmx_hiredis_take(from, &rest);

  show(rest, what, reply);
}

int main(int argc, char **argv)
{
  static const char bytes[] = "\0\1 two words\r\n";
  const char *url = argc > 1 ? argv[1] : getenv("POOLMUX_URL");
  const char *mismatch = pmx_hiredis_mismatch(sizeof(redisReply));
  pmx_reply *list, *err;
  pmx_client *c = pmx_open(url, NULL, &err);
  pmx_batch *batch = pmx_batch_new(c);

  if (mismatch || !c) {
    fprintf(stderr, "%s\n", mismatch ? mismatch : pmx_reply_error(err));
    exit(1);
  }
  show_taken("PING", pmx_command(c, "PING"));
  show_taken("SET", pmx_command(c, "SET %s:text %s", key, "Hello, world"));
  show_taken("GET", pmx_command(c, "GET %s:text", key));
  show_taken("SET", pmx_command(c, "SET %s:bytes %b", key, bytes, sizeof bytes - 1));
  show_taken("GET", pmx_command(c, "GET %s:bytes", key));
  show_taken("GET", pmx_command(c, "GET %s:nothing", key));
  show_taken("INCR", pmx_command(c, "INCR %s:text", key)); /* no number */
  for (int i = 0; i < 3; i++)                              /* sent together */
    pmx_batch_add(batch, "LPUSH %s:list element-%d", key, i);
  list = pmx_batch_exec(batch, NULL);
  for (size_t i = 0; i < 3; i++)
    show(list, "LPUSH", pmx_hiredis_reply(pmx_reply_at(list, i)));
  pmx_reply_free(list);
  pmx_batch_free(batch);
  show_taken("LRANGE", pmx_command(c, "LRANGE %s:list 0 -1", key));
  show_taken("DEL", pmx_command(c, "DEL %s:text %s:bytes %s:list", key, key, key));
  pmx_unref(c);
  return 0;
}
