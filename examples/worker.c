/* SPDX-License-Identifier: BSD-3-Clause */
/* worker.c - a thread that waits for jobs with BLPOP, for ever, until a cancel token is fired.
 * usage: worker [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define QUEUE "poolmux:example:jobs"
#define RESULTS "poolmux:example:results"
enum { JOBS = 3 };
struct worker {
  pmx_client *client;
  pmx_cancel *stop;
  int done;
};

static void handle(struct worker *w, const pmx_reply *job)
{
  printf("worker: %s\n", pmx_reply_str(job, NULL));
  w->done += pmx_reply_finish(pmx_command(w->client, "RPUSH %s ok", RESULTS)) == PMX_OK;
}

/* A BLPOP that is cancelled returns the job it has taken, or has taken none. A queue that may not
 * even lose one to a crash moves them to a list of its own with BLMOVE, and removes each when done.
 */
static void *run(void *arg)
{
  struct worker *w = arg;
  pmx_call call = PMX_CALL_INIT;
  call.cancel = w->stop;
  for (int go_on = 1; go_on;) {
    pmx_reply *reply = pmx_do(w->client, &call, "BLPOP", QUEUE, "0", (char *)NULL);
    go_on = pmx_ok(reply); /* a service would go on unless the cause is CANCELED or CLOSED */
    if (go_on)
      handle(w, pmx_reply_at(reply, 1)); /* 0 is the list's name */
    else
      fprintf(stderr, "worker: %s\n", pmx_reply_error(reply));
    pmx_reply_free(reply);
  }
  return NULL;
}

/* Hands out jobs and waits until each is done. */
static int give_work(pmx_client *client)
{
  int good = 1;

  for (int i = 1; i <= JOBS && good; i++)
    good = pmx_reply_finish(pmx_command(client, "RPUSH %s job-%d", QUEUE, i)) == PMX_OK;
  for (int i = 1; i <= JOBS && good; i++) {
    pmx_reply *reply = pmx_do(client, NULL, "BLPOP", RESULTS, "1", (char *)NULL);
    good = pmx_reply_len(reply) == 2; /* nil: the server waited for a second and found nothing */
    pmx_reply_free(reply);
  }
  return good;
}

int main(int argc, char **argv)
{
  const char *url = argc > 1 ? argv[1] : getenv("POOLMUX_URL");
  pmx_reply *err;
  struct worker w = {pmx_open(url, NULL, &err), pmx_cancel_new(), 0};
  pthread_t thread;
  int good = 0;

  if (!w.client)
    fprintf(stderr, "open: %s\n", pmx_reply_error(err));
  pmx_reply_free(err);
  if (w.client && w.stop && pthread_create(&thread, NULL, run, &w) == 0) {
    good = give_work(w.client);
    pmx_cancel_fire(w.stop);
    pthread_join(thread, NULL);
    printf("stopped after %d jobs\n", w.done);
    pmx_reply_free(pmx_do(w.client, NULL, "DEL", QUEUE, RESULTS, (char *)NULL));
  }
  pmx_cancel_free(w.stop);
  pmx_unref(w.client);
  return good && w.done == JOBS ? 0 : 1;
}
