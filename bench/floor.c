/* SPDX-License-Identifier: BSD-3-Clause */
/* floor.c - poolmux-floor: below what nobody can get, as a worker of poolmux-bench that is no
 * contestant. "nothing" answers each call itself, at once: what drawing, measuring and judging cost.
 * "wakes" only parks and wakes threads, as a multiplexer has to, without network and commands: a
 * caller queues itself, wakes the driver if that sleeps, and parks; the driver takes all who are
 * queued and wakes one after the other. That is what blocking threads can reach with one wake each,
 * however fast the library and the server are. */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker.h"

/* The answers that the commands should have. */
static void answer_itself(const struct workload *w, struct call *call)
{
  for (int i = 0, n = call->task.n; i < n; i++) {
    const struct command *c = &call->task.commands[i];
    struct answer answer = {.type = ANSWER_STATUS};

    if (c->argc == 2) {
      answer.type = ANSWER_TEXT;
      answer.text = workload_value(w, FAMILY_KEY, c->index);
      answer.len = (size_t)w->value.part[0].low;
    }
    call_answer(call, i, &answer);
  }
}

static const char *cannot(const struct plan *plan)
{
  const struct workload *w = &plan->workload;

  return w->big > 0 || w->big_readers > 0 ? "only GET and SET of small values: there is no server"
                                          : NULL;
}

/* ---- nothing ---- */

static void *open_nothing(const struct plan *plan, char why[WHY_SIZE])
{
  (void)why;
  return (void *)plan;
}

static void close_nothing(void *self)
{
  (void)self;
}

static void call_nothing(void *self, struct call *call)
{
  answer_itself(&((const struct plan *)self)->workload, call);
}

/* ---- wakes: a system call is made only for those who sleep ---- */

enum { AWAKE, ASLEEP, WOKEN };

struct seat {
  _Alignas(64) _Atomic uint32_t word;
  struct seat *next; /* in the queue: who came before */
};

struct wakes {
  struct seat driver;
  _Alignas(64) _Atomic(struct seat *) queue; /* the last one that came */
  _Atomic int over;
  const struct plan *plan;
  pthread_t thread;
  struct seat *callers;
};

static void park(struct seat *seat)
{
  uint32_t word = AWAKE;

  if (atomic_compare_exchange_strong(&seat->word, &word, ASLEEP)) {
    while (atomic_load(&seat->word) == ASLEEP)
      syscall(SYS_futex, &seat->word, FUTEX_WAIT_PRIVATE, ASLEEP, NULL, NULL, 0);
  }
  atomic_store(&seat->word, AWAKE);
}

static void wake(struct seat *seat)
{
  if (atomic_exchange(&seat->word, WOKEN) == ASLEEP)
    syscall(SYS_futex, &seat->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* In the order in which they came. A seat may be queued again as soon as it was woken. */
static void wake_all(struct seat *last)
{
  struct seat *first = NULL, *next;

  for (; last; last = next) {
    next = last->next;
    last->next = first;
    first = last;
  }
  for (; first; first = next) {
    next = first->next;
    wake(first);
  }
}

static void *drive(void *arg)
{
  struct wakes *w = arg;
  struct seat *batch;

  while (!atomic_load(&w->over)) {
    batch = atomic_exchange(&w->queue, NULL);
    if (batch)
      wake_all(batch);
    else
      park(&w->driver);
  }
  return NULL;
}

static void call_wakes(void *self, struct call *call)
{
  struct wakes *w = self;
  struct seat *seat = &w->callers[call->place], *before = atomic_load(&w->queue);

  do
    seat->next = before;
  while (!atomic_compare_exchange_weak(&w->queue, &before, seat));
  if (!before)
    wake(&w->driver);
  park(seat);
  answer_itself(&w->plan->workload, call);
}

static void close_wakes(void *self)
{
  struct wakes *w = self;

  atomic_store(&w->over, 1);
  wake(&w->driver);
  pthread_join(w->thread, NULL);
  free(w->callers);
  free(w);
}

static void *open_wakes(const struct plan *plan, char why[WHY_SIZE])
{
  struct wakes *w = aligned_alloc(_Alignof(struct wakes), sizeof *w);
  size_t size = (size_t)plan->callers * sizeof *w->callers;

  snprintf(why, WHY_SIZE, "no memory, or no thread");
  if (!w)
    return NULL;
  memset(w, 0, sizeof *w);
  w->plan = plan;
  w->callers = aligned_alloc(_Alignof(struct seat), size);
  if (w->callers) {
    memset(w->callers, 0, size);
    if (pthread_create(&w->thread, NULL, drive, w) == 0)
      return w;
  }
  free(w->callers);
  free(w);
  return NULL;
}

/* ---- ways ---- */

static const struct way ways[] = {
    {.name = "nothing",
     .what = "threads that call nothing: what measuring costs",
     .can = "threads open-loop batches tcp unix tls",
     .cannot = cannot,
     .open = open_nothing,
     .close = close_nothing,
     .call = call_nothing},
    {.name = "wakes",
     .what =
         "threads that only park, and one that wakes them: the most that blocking threads can do",
     .can = "threads open-loop batches tcp unix tls",
     .cannot = cannot,
     .open = open_wakes,
     .close = close_wakes,
     .call = call_wakes},
};

static void versions(FILE *out)
{
  fprintf(out, "version floor 1\n");
}

int main(int argc, char **argv)
{
  static const struct worker worker = {"poolmux-floor", ways, sizeof ways / sizeof *ways, versions,
                                       NULL};

  return worker_main(&worker, argc, argv);
}
