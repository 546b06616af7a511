/* SPDX-License-Identifier: BSD-3-Clause */
/* hiredis_before.c - a program that uses hiredis. hiredis_after.c does the same with poolmux, and
 * hiredis_between.c is half way: they print the same. poolmux-hiredis(7) is the guide.
 * usage: hiredis_before redis://HOST:PORT     default: $POOLMUX_URL */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

static const char key[] = "poolmux:example:before";

static void print_text(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++)
    printf(text[i] < ' ' || text[i] > '~' ? "\\x%02x" : "%c", (unsigned char)text[i]);
}

/* Takes the reply. NULL: there is none, and the context is of no use any more. */
static void show(redisContext *context, const char *what, void *from)
{
  redisReply *reply = from;

  if (!reply) {
    fprintf(stderr, "%s: error %d: %s\n", what, context->err, context->errstr);
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

int main(int argc, char **argv)
{
  static const char bytes[] = "\0\1 two words\r\n";
  const char *url = argc > 1 ? argv[1] : getenv("POOLMUX_URL");
  struct timeval limit = {1, 500000};
  char host[64] = "127.0.0.1";
  int port = 6379;
  redisContext *c;
  redisReply *reply;

  if (url && sscanf(url, "redis://%63[^:]:%d", host, &port) != 2)
    return 2;
  c = redisConnectWithTimeout(host, port, limit);
  if (!c || c->err || redisSetTimeout(c, limit) != REDIS_OK) {
    fprintf(stderr, "connect: %s\n", c ? c->errstr : "out of memory");
    return 1;
  }
  show(c, "PING", redisCommand(c, "PING"));
  show(c, "SET", redisCommand(c, "SET %s:text %s", key, "Hello, world"));
  show(c, "GET", redisCommand(c, "GET %s:text", key));
  show(c, "SET", redisCommand(c, "SET %s:bytes %b", key, bytes, sizeof bytes - 1));
  show(c, "GET", redisCommand(c, "GET %s:bytes", key));
  show(c, "GET", redisCommand(c, "GET %s:nothing", key));
  show(c, "INCR", redisCommand(c, "INCR %s:text", key)); /* no number */
  for (int i = 0; i < 3; i++)                            /* sent together */
    redisAppendCommand(c, "LPUSH %s:list element-%d", key, i);
  for (int i = 0; i < 3; i++)
    show(c, "LPUSH", redisGetReply(c, (void **)&reply) == REDIS_OK ? reply : NULL);
  show(c, "LRANGE", redisCommand(c, "LRANGE %s:list 0 -1", key));
  show(c, "DEL", redisCommand(c, "DEL %s:text %s:bytes %s:list", key, key, key));
  redisFree(c);
  return 0;
}
