/* SPDX-License-Identifier: BSD-3-Clause */
/* scale_memory.c - memory of both sides, for poolmux-scale, and what it asks the server to do. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scale_parts.h"

enum { PAUSE_MS = 600000 };

/* ---- the server ---- */

static redisReply *ask(const struct scale *s, const char *command)
{
  redisReply *reply = redisCommand(s->control, command);

  if (!reply || reply->type == REDIS_REPLY_ERROR)
    scale_failed(command, reply ? reply->str : s->control->errstr);
  return reply;
}

static double figure(const char *text, const char *field)
{
  const char *found = strstr(text, field);

  if (!found)
    scale_failed(field, "the server does not tell");
  return strtod(found + strlen(field), NULL);
}

double server_figure(const struct scale *s, const char *section, const char *field)
{
  char command[64];
  redisReply *reply;
  double n;

  snprintf(command, sizeof command, "INFO %s", section);
  reply = ask(s, command);
  n = figure(reply->str, field);
  freeReplyObject(reply);
  return n;
}

void server_does(const struct scale *s, const char *command)
{
  freeReplyObject(ask(s, command));
}

/* A client that has sent a write is not served any more; we go on asking, and can let it go on. */
void server_hold(const struct scale *s)
{
  char command[64];

  snprintf(command, sizeof command, "CLIENT PAUSE %d WRITE", PAUSE_MS);
  server_does(s, command);
}

void server_go_on(const struct scale *s)
{
  server_does(s, "CLIENT UNPAUSE");
}

double server_queries(const struct scale *s)
{
  redisReply *reply = ask(s, "CLIENT LIST TYPE normal");
  const char *at = reply->str;
  double sum = 0;

  while ((at = strstr(at, " qbuf=")) != NULL) {
    at += 6;
    sum += strtod(at, NULL);
  }
  freeReplyObject(reply);
  return sum;
}

/* ---- memory ---- */

static double resident(void)
{
  FILE *file = fopen("/proc/self/statm", "r");
  double size = 0, pages = 0, shared = 0;

  if (file) {
    if (fscanf(file, "%lf %lf %lf", &size, &pages, &shared) != 3)
      pages = shared = 0;
    fclose(file);
  }
  return (pages - shared) * (double)sysconf(_SC_PAGESIZE);
}

void memory_look(const struct scale *s, struct memory *ret)
{
  struct mallinfo2 heap = mallinfo2();
  redisReply *reply = ask(s, "INFO memory");

  ret->heap = (double)heap.uordblks + (double)heap.hblkhd;
  ret->resident = resident();
  ret->server = figure(reply->str, "used_memory:");
  ret->peak = figure(reply->str, "used_memory_peak:");
  freeReplyObject(reply);
}

/* Buffers of idle clients are cut once a second, some only after five: until nothing has shrunk for
 * seven. */
void memory_settled(const struct scale *s, struct memory *ret)
{
  double least = 1e18;

  malloc_trim(0);
  memory_look(s, ret);
  for (int quiet = 0; !s->quick && quiet < 7; quiet++) {
    memory_look(s, ret);
    if (ret->server < least - 4096) {
      least = ret->server;
      quiet = 0;
    }
    scale_sleep_ms(1000);
  }
}

/* When nobody is connected any more. */
void memory_before(const struct scale *s, struct memory *ret)
{
  while (server_figure(s, "clients", "connected_clients:") > 1)
    scale_sleep_ms(10);
  malloc_trim(0);
  memory_look(s, ret);
}

/* What one connection takes of the server is less than its memory goes up and down by itself. */
void memory_print(const char *what, const struct memory *before, const struct memory *now, long n)
{
  printf("%-46s %9.0f %9.0f", what, (now->heap - before->heap) / (double)n,
         (now->resident - before->resident) / (double)n);
  if (n > 1)
    printf(" %9.0f\n", (now->server - before->server) / (double)n);
  else
    printf(" %9s\n", "-");
}
