/* SPDX-License-Identifier: BSD-3-Clause */
/* work_queue.c - workers take jobs with BLPOP, on connections of their own, while jobs are pushed
 * and a cache is used beside them; one token stops all. Each job was done or is in the list yet.
 * usage: work_queue [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define QUEUE "poolmux:example:queue"
enum { WORKERS = 4, JOBS = 1000 };

struct shop {
  pmx_client *client;
  pmx_cancel *stop;
  atomic_int done, lost;
};

static void *work(void *arg)
{
  struct shop *shop = arg;
  pmx_call call = PMX_CALL_INIT;
  call.cancel = shop->stop;
  for (int go_on = 1; go_on;) {
    pmx_reply *reply = pmx_do(shop->client, &call, "BLPOP", QUEUE, "0", (char *)NULL);
    go_on = pmx_ok(reply);
    if (go_on) /* pmx_reply_at(reply, 1) is the job; it may come even after the token was fired */
      atomic_fetch_add(&shop->done, 1);
    else if (pmx_reply_status(reply) != PMX_NOT_RUN) /* UNKNOWN: it may have taken one with it */
      atomic_fetch_add(&shop->lost, 1);
    pmx_reply_free(reply);
  }
  return NULL;
}

static int push_jobs(pmx_client *client)
{
  int pushed = 0;

  for (int i = 0; i < JOBS; i++) {
    pmx_reply_free(pmx_command(client, "GET " QUEUE ":cache:%d", i % 10));
    pmx_reply_free(pmx_command(client, "SET " QUEUE ":cache:%d %d EX 60", i % 10, i));
    pushed += pmx_reply_finish(pmx_command(client, "RPUSH %s job-%d", QUEUE, i)) == PMX_OK;
  }
  return pushed;
}

/* Stops the workers while there may be jobs, and counts what is left. */
static int run(struct shop *shop)
{
  pthread_t threads[WORKERS];
  int started = 0, pushed, left;
  pmx_reply *reply;

  while (started < WORKERS && pthread_create(&threads[started], NULL, work, shop) == 0)
    started++;
  pushed = push_jobs(shop->client);
  pmx_cancel_fire(shop->stop);
  while (started > 0)
    pthread_join(threads[--started], NULL);
  reply = pmx_command(shop->client, "LLEN %s", QUEUE);
  left = (int)pmx_reply_int(reply, NULL);
  pmx_reply_free(reply);
  printf("%d pushed, %d done, %d left\n", pushed, shop->done, left);
  pmx_reply_free(pmx_command(shop->client, "DEL %s", QUEUE));
  return pushed == JOBS && shop->lost == 0 && shop->done + left == pushed;
}

int main(int argc, char **argv)
{
  pmx_client *client = pmx_open(argc > 1 ? argv[1] : getenv("POOLMUX_URL"), NULL, NULL);
  struct shop shop = {.client = client, .stop = pmx_cancel_new()};
  int good = client && shop.stop && run(&shop);

  pmx_cancel_free(shop.stop);
  pmx_unref(client);
  return good ? 0 : 1;
}
