/* SPDX-License-Identifier: BSD-3-Clause */
/* worker-poolmux_async.c - callers that are callbacks or futures. Callbacks come on the client's
 * own thread, or in pmx_dispatch with io=loop. Futures are taken by a thread, in the order in which
 * they were submitted. A batch is as many calls, begun at once. */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "measure.h"
#include "worker-poolmux_parts.h"

enum { LONGEST_TURN_MS = 100, PRECISE_NS = 2000000 };

/* ---- callbacks ---- */

static void answered(void *ud, const pmx_reply *reply)
{
  struct part *part = ud;

  answer_with(part->call, part->i, reply);
}

static void issue_callback(struct self *self, struct call *call, int i)
{
  const struct command *c = &call->task.commands[i];
  pmx_status status =
      pmx_async_argv(self->client, NULL, answered, &call->part[i], c->argc, c->argv, c->len);

  if (status != PMX_OK)
    call_failed(call, i, pmx_status_str(status));
}

/* ---- futures: a ring, as large as all that can be under way ---- */

struct futures {
  pthread_mutex_t lock;
  pthread_cond_t some;
  pthread_t taker;
  int over;
  size_t size, head, n;
  struct taken {
    pmx_future *future;
    struct part *part;
  } ring[];
};

static void issue_future(struct self *self, struct call *call, int i)
{
  const struct command *c = &call->task.commands[i];
  struct futures *f = self->futures;
  struct taken taken = {pmx_submit_argv(self->client, NULL, c->argc, c->argv, c->len),
                        &call->part[i]};

  pthread_mutex_lock(&f->lock);
  f->ring[(f->head + f->n++) % f->size] = taken;
  pthread_cond_signal(&f->some);
  pthread_mutex_unlock(&f->lock);
}

static void *take_futures(void *arg)
{
  struct futures *f = arg;
  struct taken taken;
  pmx_reply *reply;

  for (;;) {
    pthread_mutex_lock(&f->lock);
    while (f->n == 0 && !f->over)
      pthread_cond_wait(&f->some, &f->lock);
    if (f->n == 0) {
      pthread_mutex_unlock(&f->lock);
      return NULL;
    }
    taken = f->ring[f->head];
    f->head = (f->head + 1) % f->size;
    f->n--;
    pthread_mutex_unlock(&f->lock);
    reply = pmx_future_take(taken.future);
    answer_with(taken.part->call, taken.part->i, reply);
    pmx_reply_free(reply);
  }
}

static int open_futures(struct self *self)
{
  const struct workload *w = &self->plan->workload;
  size_t size = (size_t)self->plan->callers * (size_t)(w->batch > 0 ? w->batch_size : 1);
  struct futures *f = calloc(1, sizeof *f + size * sizeof *f->ring);

  if (!f)
    return -1;
  f->size = size;
  pthread_mutex_init(&f->lock, NULL);
  pthread_cond_init(&f->some, NULL);
  if (pthread_create(&f->taker, NULL, take_futures, f) != 0) {
    free(f);
    return -1;
  }
  self->futures = f;
  return 0;
}

static void close_futures(struct futures *f)
{
  pthread_mutex_lock(&f->lock);
  f->over = 1;
  pthread_cond_signal(&f->some);
  pthread_mutex_unlock(&f->lock);
  pthread_join(f->taker, NULL);
  pthread_cond_destroy(&f->some);
  pthread_mutex_destroy(&f->lock);
  free(f);
}

/* ---- both ---- */

/* The future of a consumer, or of a reader of big values, would stand before all others. */
void async_issue(void *me, struct call *call)
{
  struct self *self = me;
  int futures = self->futures && call->place < self->plan->callers, n = call->task.n;

  for (int i = 0; i < n; i++)
    (futures ? issue_future : issue_callback)(self, call, i);
}

/* What is due in less than some milliseconds is waited for exactly. */
void async_turn(void *me, int64_t until_ns)
{
  struct self *self = me;
  int64_t ns = until_ns - now_ns();
  struct pollfd poll = {.fd = pmx_client_fd(self->client), .events = POLLIN};
  struct timespec rest;

  if (ns >= PRECISE_NS) {
    ns /= 1000000;
    pmx_dispatch(self->client, ns < LONGEST_TURN_MS ? ns - 1 : LONGEST_TURN_MS);
    return;
  }
  rest = (struct timespec){0, ns > 0 ? ns : 0};
  ppoll(&poll, 1, &rest, NULL);
  pmx_dispatch(self->client, 0);
}

/* ---- subscribers ---- */

static void came(void *ud, const pmx_message *message)
{
  if (message->type == PMX_MESSAGE_GAP)
    listener_failed(ud, "messages were lost");
  listener_message(ud, message->data, message->data_len);
}

void async_listen(void *me, struct listener *listener)
{
  struct self *self = me;
  pmx_sub *sub = pmx_sub_new(self->client, came, listener);
  pmx_reply *reply = pmx_sub_add(sub, NULL, PMX_SUB_CHANNEL, listener->channel, listener->len);

  if (!pmx_ok(reply))
    listener_failed(listener, pmx_reply_error(reply));
  pmx_reply_free(reply);
  self->subs[listener->place] = sub;
  listener_ready(listener);
}

/* ---- beginning and end ---- */

int async_open(struct self *self)
{
  self->subs = calloc((size_t)self->plan->workload.subscribers + 1, sizeof *self->subs);
  if (!self->subs)
    return -1;
  return self->plan->callers_as == AS_FUTURES ? open_futures(self) : 0;
}

void async_close(struct self *self)
{
  if (self->futures)
    close_futures(self->futures);
  for (long i = 0; self->subs && i < self->plan->workload.subscribers; i++)
    pmx_sub_free(self->subs[i]);
  free(self->subs);
}
