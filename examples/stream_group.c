/* SPDX-License-Identifier: BSD-3-Clause */
/* stream_group.c - a consumer group: three threads share the entries of a stream, and what one of
 * them did not finish another takes over.
 * usage: stream_group [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define STREAM "poolmux:example:orders"
enum { CONSUMERS = 3, ENTRIES = 30 };
static pmx_client *client;
static pmx_cancel *stop;
static atomic_int handled;

/* Entries are {id, {field, value …}}; the third consumer fails at first. */
static void handle(int me, const pmx_reply *entries)
{
  for (size_t i = 0; i < pmx_reply_len(entries); i++) {
    const char *id = pmx_reply_str(pmx_reply_at(pmx_reply_at(entries, i), 0), NULL);
    pmx_reply *reply;
    if (me == 2)
      continue;
    reply = pmx_command(client, "XACK " STREAM " group %s", id);
    /* 0: somebody else was faster. */
    if (pmx_reply_int(reply, NULL) == 1 && ++handled == ENTRIES)
      pmx_cancel_fire(stop); /* ends the waits below */
    pmx_reply_free(reply);
  }
}

/* Each XREADGROUP waits on a connection of its own; the XACKs share one. */
static void *consume(void *arg)
{
  int me = (int)(size_t)arg;
  pmx_call call = PMX_CALL_INIT;
  call.cancel = stop;
  for (int go_on = 1; go_on;) {
    pmx_reply *reply = pmx_command_call(
        client, &call, "XREADGROUP GROUP group c%d COUNT 4 BLOCK 100 STREAMS " STREAM " >", me);
    go_on = pmx_ok(reply);
    handle(me, pmx_reply_get(reply, STREAM, sizeof STREAM - 1));
    pmx_reply_free(reply);
    if (go_on && me != 2) { /* and what waits unfinished for 50 ms; element 1 is the entries */
      reply = pmx_command_call(client, &call, "XAUTOCLAIM " STREAM " group c%d 50 0", me);
      handle(me, pmx_reply_at(reply, 1));
      pmx_reply_free(reply);
    }
  }
  return NULL;
}

int main(int argc, char **argv)
{
  pthread_t threads[CONSUMERS];
  int n = 0;
  client = pmx_open(argc > 1 ? argv[1] : getenv("POOLMUX_URL"), NULL, NULL);
  stop = pmx_cancel_new();
  if (!client || !stop)
    return 1;
  pmx_reply_free(pmx_command(client, "DEL " STREAM));
  pmx_reply_free(pmx_command(client, "XGROUP CREATE " STREAM " group $ MKSTREAM"));
  while (n < CONSUMERS && pthread_create(&threads[n], NULL, consume, (void *)(size_t)n) == 0)
    n++;
  for (int i = 0; i < ENTRIES; i++)
    pmx_reply_free(pmx_command(client, "XADD " STREAM " * order %d", i));
  for (int i = 0; i < n; i++)
    pthread_join(threads[i], NULL);
  printf("%d entries handled by %d consumers, one of which failed\n", atomic_load(&handled), n);
  pmx_reply_free(pmx_command(client, "DEL " STREAM));
  pmx_cancel_free(stop);
  pmx_unref(client);
  return handled == ENTRIES ? 0 : 1;
}
