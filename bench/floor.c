/* SPDX-License-Identifier: BSD-3-Clause */
/* floor.c - poolmux-floor: below what nobody can get, as a worker of poolmux-bench that is no
 * contestant. "nothing" answers each call itself, at once: what drawing, measuring and judging
 * cost. "wakes" only parks and wakes threads, as a multiplexer has to, without network and
 * commands: a caller queues itself, wakes the driver if that sleeps, and parks; the driver takes
 * all who are queued and wakes them, those of a row with one system call. That is what blocking
 * threads can reach with one driver, however fast the library and the server are. */
#include <limits.h>
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

/* ---- wakes: a system call is made only for those who sleep, and for a whole row ---- */

enum { AWAKE, ASLEEP, WOKEN, SEATS = 32 };

struct row {
  _Alignas(64) _Atomic uint32_t word; /* another number after each wake */
};

struct seat {
  _Alignas(64) _Atomic uint32_t state;
  struct row *row;
  uint32_t bit;
  struct seat *next; /* in the queue: who came before */
};

struct wakes {
  struct seat driver;
  struct row row_of_driver;
  _Alignas(64) _Atomic(struct seat *) queue; /* the last one that came */
  _Atomic int over;
  const struct plan *plan;
  pthread_t thread;
  struct seat *callers;
  struct row *rows;
};

static void take_seat(struct seat *seat, struct row *row, int place)
{
  seat->row = row;
  seat->bit = UINT32_C(1) << place;
}

/* The row's word is read before it says that it sleeps: who sees that changes the word. */
static void park(struct seat *seat)
{
  uint32_t word = atomic_load(&seat->row->word), state = AWAKE;

  if (atomic_compare_exchange_strong(&seat->state, &state, ASLEEP)) {
    while (atomic_load(&seat->state) == ASLEEP) {
      syscall(SYS_futex, &seat->row->word, FUTEX_WAIT_BITSET_PRIVATE, word, NULL, NULL, seat->bit);
      word = atomic_load(&seat->row->word);
    }
  }
  atomic_store(&seat->state, AWAKE);
}

static uint32_t rouse(struct seat *seat)
{
  return atomic_exchange(&seat->state, WOKEN) == ASLEEP ? seat->bit : 0;
}

static void wake_row(struct row *row, uint32_t bits)
{
  if (!bits)
    return;
  atomic_fetch_add(&row->word, 1);
  syscall(SYS_futex, &row->word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, bits);
}

/* A seat may be queued again as soon as it was roused. */
static void wake_all(struct wakes *w, struct seat *last)
{
  uint32_t bits[(MAX_CALLERS + SEATS - 1) / SEATS] = {0};
  struct seat *next;

  for (; last; last = next) {
    next = last->next;
    bits[last->row - w->rows] |= rouse(last);
  }
  for (int i = 0; i * SEATS < w->plan->callers; i++)
    wake_row(&w->rows[i], bits[i]);
}

static void *drive(void *arg)
{
  struct wakes *w = arg;
  struct seat *batch;

  while (!atomic_load(&w->over)) {
    batch = atomic_exchange(&w->queue, NULL);
    if (batch)
      wake_all(w, batch);
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
    wake_row(w->driver.row, rouse(&w->driver));
  park(seat);
  answer_itself(&w->plan->workload, call);
}

static void close_wakes(void *self)
{
  struct wakes *w = self;

  atomic_store(&w->over, 1);
  wake_row(w->driver.row, rouse(&w->driver));
  pthread_join(w->thread, NULL);
  free(w->callers);
  free(w->rows);
  free(w);
}

static void *zeroed(size_t size)
{
  void *p = aligned_alloc(64, (size + 63) / 64 * 64);

  return p ? memset(p, 0, size) : NULL;
}

static void *open_wakes(const struct plan *plan, char why[WHY_SIZE])
{
  struct wakes *w = zeroed(sizeof *w);
  size_t n = (size_t)plan->callers;

  snprintf(why, WHY_SIZE, "no memory, or no thread");
  if (!w)
    return NULL;
  w->plan = plan;
  w->callers = zeroed(n * sizeof *w->callers);
  w->rows = zeroed((n + SEATS - 1) / SEATS * sizeof *w->rows);
  take_seat(&w->driver, &w->row_of_driver, 0);
  for (int i = 0; w->callers && w->rows && i < plan->callers; i++)
    take_seat(&w->callers[i], &w->rows[i / SEATS], i % SEATS);
  if (w->callers && w->rows && pthread_create(&w->thread, NULL, drive, w) == 0)
    return w;
  free(w->callers);
  free(w->rows);
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
     .what = "threads that only park, and one that wakes them: the most that one driver can do",
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
