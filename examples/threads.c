/* SPDX-License-Identifier: BSD-3-Clause */
/* threads.c - eight threads share one client, without a lock of their own.
 * usage: threads [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8, ROUNDS = 100 };
static const char counter[] = "poolmux:example:threads";

struct worker {
  pthread_t thread;
  pmx_client *client;
  int counted, maybe;
};

/* An INCR must not run twice: one that may have run is not sent again but counted apart. */
static void *run(void *arg)
{
  struct worker *w = arg;

  for (int i = 0; i < ROUNDS; i++) {
    pmx_reply *reply = pmx_do(w->client, NULL, "INCR", counter, (char *)NULL);

    w->counted += pmx_ok(reply);
    w->maybe += pmx_reply_status(reply) == PMX_UNKNOWN;
    if (!pmx_ok(reply))
      fprintf(stderr, "INCR: %s\n", pmx_reply_error(reply));
    pmx_reply_free(reply);
  }
  return NULL;
}

static int count(pmx_client *client, int64_t *value)
{
  struct worker workers[THREADS], sum = {0};
  int started = 0, ok;
  pmx_reply *reply;

  for (; started < THREADS; started++) {
    workers[started] = (struct worker){.client = client};
    if (pthread_create(&workers[started].thread, NULL, run, &workers[started]) != 0)
      break;
  }
  for (int i = 0; i < started; i++) {
    pthread_join(workers[i].thread, NULL);
    sum.counted += workers[i].counted;
    sum.maybe += workers[i].maybe;
  }
  reply = pmx_do(client, NULL, "GETDEL", counter, (char *)NULL);
  *value = pmx_reply_int(reply, &ok);
  pmx_reply_free(reply);
  return ok && started == THREADS && sum.counted + sum.maybe == THREADS * ROUNDS &&
         *value >= sum.counted && *value <= sum.counted + sum.maybe;
}

int main(int argc, char **argv)
{
  const char *url = argc > 1 ? argv[1] : getenv("POOLMUX_URL");
  pmx_reply *err;
  pmx_client *client = pmx_open(url, NULL, &err);
  pmx_stats stats = PMX_STATS_INIT;
  int64_t value = 0;
  int good;

  if (!client) {
    fprintf(stderr, "open: %s\n", pmx_reply_error(err));
    pmx_reply_free(err);
    return 1;
  }
  good = count(client, &value);
  pmx_stats_get(client, &stats);
  printf("%d threads counted to %lld over %llu connections\n", THREADS, (long long)value,
         (unsigned long long)stats.opened);
  pmx_unref(client);
  return good ? 0 : 1;
}
