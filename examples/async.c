/* SPDX-License-Identifier: BSD-3-Clause */
/* async.c - callbacks: one thread begins a thousand calls and waits for none of them. At most a
 * hundred are under way, so that the queue is never full: a semaphore counts the places.
 * usage: async [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALLS = 1000, PLACES = 100 };
static const char counter[] = "poolmux:example:async";

/* Callbacks come one at a time, on the client's own thread: all but the semaphore is theirs until
 * the last of them has run. */
struct tally {
  sem_t places;
  int counted, maybe;
};

static void on_reply(void *ud, const pmx_reply *reply)
{
  struct tally *tally = ud;

  tally->counted += pmx_ok(reply);
  tally->maybe += pmx_reply_status(reply) == PMX_UNKNOWN;
  if (!pmx_ok(reply))
    fprintf(stderr, "INCR: %s\n", pmx_reply_error(reply));
  sem_post(&tally->places);
}

/* How many were begun. */
static int begin_all(pmx_client *client, struct tally *tally)
{
  int begun = 0;

  for (int i = 0; i < CALLS; i++) {
    sem_wait(&tally->places);
    if (pmx_async(client, NULL, on_reply, tally, "INCR %s", counter) == PMX_OK)
      begun++;
    else
      sem_post(&tally->places); /* no callback comes */
  }
  for (int i = 0; i < PLACES; i++) /* until the last ones have been answered */
    sem_wait(&tally->places);
  return begun;
}

int main(int argc, char **argv)
{
  pmx_options *options = pmx_options_new();
  struct tally tally = {.counted = 0};
  pmx_client *client;
  pmx_reply *reply;
  int begun, good = 0;

  pmx_options_set(options, "strategy", "mux"); /* one connection for all of them */
  client = pmx_open(argc > 1 ? argv[1] : getenv("POOLMUX_URL"), options, &reply);
  pmx_options_free(options);
  if (client && sem_init(&tally.places, 0, PLACES) == 0) {
    begun = begin_all(client, &tally);
    reply = pmx_do(client, NULL, "GETDEL", counter, (char *)NULL);
    printf("%d begun, %d counted, %d unknown: %lld\n", begun, tally.counted, tally.maybe,
           (long long)pmx_reply_int(reply, &good));
    good = good && begun == CALLS && tally.counted + tally.maybe == CALLS;
  }
  if (!good)
    fprintf(stderr, "%s\n", pmx_reply_error(reply));
  pmx_reply_free(reply);
  pmx_unref(client); /* afterwards no callback runs */
  return good ? 0 : 1;
}
