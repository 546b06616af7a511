/* SPDX-License-Identifier: BSD-3-Clause */
/* doors_sync.c - base/sync.h, base/park.h, base/clock.h and base/random.h for the simulator. Every
 * function that could wait or wake is a scheduling point. */
#include "base/sync.h"
#include "base/park.h"
#include "base/clock.h"
#include "base/random.h"
#include "sim/secure.h"
#include "sim/sim.h"
#include <errno.h>
#include <string.h>

/* All but the clock and the seed is the library's own. */
int64_t real_clock_ns(void);
uint64_t real_random_seed_fresh(void);
#define clock_ns real_clock_ns
#define random_seed_fresh real_random_seed_fresh
#include "base/clock.c"
#include "base/random.c"
#undef clock_ns
#undef random_seed_fresh

int64_t clock_ns(void)
{
  point();
  return sim_clock();
}

uint64_t random_seed_fresh(void)
{
  return choose(UINT64_MAX);
}

/* ---- locks: in the memory of the mutex ---- */

enum { INITIALISED = 0x10c3ed };

struct sim_lock {
  struct task *owner;
  unsigned magic;
};

_Static_assert(sizeof(struct sim_lock) <= sizeof(pthread_mutex_t), "no room in a mutex");

static struct sim_lock *of(struct lock *l)
{
  return (struct sim_lock *)(void *)&l->mutex;
}

void lock_init(struct lock *l)
{
  memset(l, 0, sizeof *l);
  of(l)->magic = INITIALISED;
}

void lock_destroy(struct lock *l)
{
  if (of(l)->owner || of(l)->magic != INITIALISED)
    fail("a lock is destroyed that is held or was never made");
  of(l)->magic = 0;
}

static int is_free(void *arg)
{
  struct sim_lock *l = arg;

  return !l->owner;
}

void lock_acquire(struct lock *lock)
{
  struct sim_lock *l = of(lock);

  if (l->magic != INITIALISED)
    fail("a lock is taken that does not exist");
  if (l->owner == task_self())
    fail("a thread takes a lock it holds");
  point();
  while (l->owner && !mutates(MUTANT_OPEN_LOCK))
    block("waits for a lock", is_free, l, SIM_FOREVER);
  l->owner = task_self();
  ++*task_locks();
}

void lock_release(struct lock *lock)
{
  struct sim_lock *l = of(lock);

  if (l->owner != task_self())
    fail("a thread releases a lock it does not hold");
  l->owner = NULL;
  --*task_locks();
  changed();
  point();
}

/* ---- parking: on what both forms of a parker have, the word ---- */

enum { NO_MORE = 1 }; /* wakes add two */

static void must_live(const struct parker *p)
{
  if (p->word & NO_MORE)
    fail("a parker is used that was destroyed");
}

void parker_init(struct parker *p)
{
  p->word = 0;
  p->next = NULL;
}

void parker_init_in(struct parker *p, struct park_row *row, unsigned seat)
{
  (void)row;
  if (seat >= PARK_SEATS)
    fail("a row has no such seat");
  parker_init(p);
}

void parker_destroy(struct parker *p)
{
  must_live(p);
  p->word |= NO_MORE;
}

uint32_t parker_ticket(struct parker *p)
{
  must_live(p);
  point();
  return p->word;
}

struct parked {
  struct parker *parker;
  uint32_t ticket;
};

static int is_woken(void *arg)
{
  const struct parked *p = arg;

  return p->parker->word != p->ticket;
}

static uint64_t parked_tasks; /* one bit each: there are at most 64 */

static uint64_t bit_of(const struct task *t)
{
  return UINT64_C(1) << (task_number(t) - 1);
}

int task_is_parked(const struct task *t)
{
  return (parked_tasks & bit_of(t)) != 0;
}

int parker_park(struct parker *p, uint32_t ticket, int64_t deadline_ns)
{
  struct parked parked = {p, ticket};
  int woken;

  must_live(p);
  if (*task_locks())
    fail("a thread goes to sleep with a lock held");
  if (chance(10)) /* spurious */
    return 0;
  if (mutates(MUTANT_LATE_WAIT) && deadline_ns < SIM_FOREVER - SIM_S)
    deadline_ns += 5 * SIM_MS;
  parked_tasks |= bit_of(task_self());
  woken = block("parks", is_woken, &parked, deadline_ns);
  parked_tasks &= ~bit_of(task_self());
  return !woken;
}

/* The word has changed before the waker is out again. */
void parker_wake(struct parker *p)
{
  point();
  must_live(p);
  if (mutates(MUTANT_LOST_WAKE))
    return;
  p->word += 2;
  changed();
  point();
  must_live(p);
}

void parkers_wake(struct parker *const *list, unsigned count)
{
  for (unsigned i = 0; i < count; i++)
    parker_wake(list[i]);
}

/* ---- threads ---- */

int thread_start(struct thread *t, const char *name, void (*run)(void *), void *arg)
{
  struct task *task = chance(faults.shortage) ? NULL : task_start(name, run, arg);

  if (!task)
    return EAGAIN;
  point();
  t->id = (pthread_t)task_number(task);
  return 0;
}

void thread_detach(struct thread *t)
{
  task_detach(task_numbered((unsigned long)t->id));
}

int thread_start_detached(const char *name, void (*run)(void *), void *arg)
{
  struct thread t = {0};
  int err = thread_start(&t, name, run, arg);

  if (!err)
    thread_detach(&t);
  return err;
}

static int has_ended(void *arg)
{
  return task_ended(arg);
}

void thread_join(struct thread *t)
{
  if (*task_locks())
    fail("a thread is joined with a lock held");
  block("joins", has_ended, task_numbered((unsigned long)t->id), SIM_FOREVER);
}

static int away; /* those that have given way, and are not back */

int sim_is_away(void)
{
  return away > 0;
}

/* To nobody, or to all others as far as they come, which may take a while: no excuse for those. */
void thread_yield(void)
{
  point();
  if (secure_is_amid() || chance(650))
    return;
  away++;
  sleep_until(sim_now() + (chance(150) ? between(1000, SIM_MS / 2) : 1));
  away--;
}

int thread_is_me(const struct thread *t)
{
  point();
  return (unsigned long)t->id == task_number(task_self());
}

int thread_cancel_disable(void)
{
  point();
  return 0;
}

void thread_cancel_restore(int old)
{
  (void)old;
  point();
}

uint32_t fork_generation(void)
{
  return 1;
}

void fork_watch(void (*child)(void))
{
  (void)child;
}

void fork_hold(void)
{
}

void fork_let(void)
{
}

unsigned cpu_count(void)
{
  return 2;
}

unsigned thread_number(void)
{
  return (unsigned)task_number(task_self());
}
