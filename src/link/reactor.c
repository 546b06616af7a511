/* SPDX-License-Identifier: BSD-3-Clause */
/* reactor.c - what the reactor does in one step: jobs, timers, tickers, sources. Who takes the
 * steps is reactor_run.c's business. Knows neither commands nor strategies. */
#include "link/reactor.h"
#include "base/clock.h"

enum { EVENTS_PER_WAIT = 64, TRY_AGAIN_NS = 10 * 1000 * 1000, CLEARED_AT_ONCE = 256 };

void job_init(struct job *job, void (*run)(struct job *))
{
  list_init(&job->node);
  job->run = run;
  job->timer = NULL;
}

void reactor_post(struct reactor *r, struct job *job)
{
  lock_acquire(&r->lock);
  if (!list_linked(&job->node))
    list_push_back(&r->jobs, &job->node);
  lock_release(&r->lock);
}

int reactor_posted(struct reactor *r, const struct job *job)
{
  int posted;

  lock_acquire(&r->lock);
  posted = list_linked(&job->node);
  lock_release(&r->lock);
  return posted;
}

/* Of a counter that one thread at a time writes: an ordinary addition, which others may read. */
static void count_one(_Atomic unsigned *counter)
{
  atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                        memory_order_relaxed);
}

unsigned reactor_backlog(const struct reactor *r)
{
  unsigned called = atomic_load_explicit(&r->called, memory_order_acquire) +
                    atomic_load_explicit(&r->own_called, memory_order_relaxed);
  unsigned ran = atomic_load_explicit(&r->ran, memory_order_relaxed);

  return (int)(called - ran) > 0 ? called - ran : 0; /* more may have run since */
}

/* Whoever runs it needs no lock to ask itself, as long as nobody else did before. Whether somebody
 * did is known here wherever their order matters: the two calls have met under another lock. */
static int call_own(struct reactor *r, struct job *job)
{
  if (!reactor_is_mine(r) || atomic_load_explicit(&r->others, memory_order_relaxed))
    return 0;
  list_push_back(&r->own_callbacks, &job->node);
  count_one(&r->own_called);
  return 1;
}

/* Whoever finds none tells; those who come behind, before they are taken, need not. */
void reactor_call(struct reactor *r, struct job *job, struct timer *clear)
{
  int first;

  job->timer = clear;
  if (call_own(r, job))
    return;
  lock_acquire(&r->lock);
  first = list_empty(&r->callbacks);
  list_push_back(&r->callbacks, &job->node);
  atomic_store_explicit(&r->others, 1, memory_order_relaxed);
  count_one(&r->called);
  lock_release(&r->lock);
  if (first)
    reactor_call_user(r);
}

static void clear_timer_locked(struct reactor *r, struct timer *t)
{
  t->known = 1;
  heap_remove(&r->timers, &t->node);
}

static void add_own_timers_locked(struct reactor *r)
{
  struct heap_node *node, *next;

  for (node = r->own_timers; node; node = next) {
    next = node->next;
    node->next = NULL;
    heap_add(&r->timers, node, node->key);
  }
  r->own_timers = NULL;
  r->own_timers_end = &r->own_timers;
}

/* What others wait for with locks of their own is let in now and then. Each timer is cleared before
 * any of the callbacks runs; one that expires meanwhile finds its call over. */
void reactor_take_callbacks(struct reactor *r, struct list *ret)
{
  unsigned cleared = 0;

  list_take(ret, &r->own_callbacks);
  lock_acquire(&r->lock);
  list_append(ret, &r->callbacks);
  atomic_store_explicit(&r->others, 0, memory_order_relaxed);
  add_own_timers_locked(r);
  for (struct list *node = ret->next; node != ret; node = node->next) {
    struct job *job = container_of(node, struct job, node);

    if (job->timer)
      clear_timer_locked(r, job->timer);
    if (++cleared % CLEARED_AT_ONCE == 0) {
      lock_release(&r->lock);
      lock_acquire(&r->lock);
    }
  }
  lock_release(&r->lock);
}

/* Leaves the lock. */
static void set_timer(struct reactor *r, struct timer *t, int64_t due)
{
  int earliest;

  t->known = 1;
  heap_remove(&r->timers, &t->node);
  heap_add(&r->timers, &t->node, due);
  earliest = heap_first(&r->timers) == &t->node;
  lock_release(&r->lock);
  if (earliest)
    reactor_wake(r);
}

void timer_set(struct reactor *r, struct timer *t, int64_t due)
{
  lock_acquire(&r->lock);
  if (reactor_is_me(r)) /* it may be one of them */
    add_own_timers_locked(r);
  set_timer(r, t, due);
}

void timer_begin_own(struct reactor *r, struct timer *t, int64_t due)
{
  if (t->known)
    return;
  t->known = 1;
  t->node.key = due;
  *r->own_timers_end = &t->node;
  r->own_timers_end = &t->node.next;
}

void timer_begin(struct reactor *r, struct timer *t, int64_t due)
{
  lock_acquire(&r->lock);
  if (t->known)
    lock_release(&r->lock);
  else
    set_timer(r, t, due);
}

void timer_clear(struct reactor *r, struct timer *t)
{
  lock_acquire(&r->lock);
  clear_timer_locked(r, t);
  lock_release(&r->lock);
}

void reactor_wake(struct reactor *r)
{
  if (!reactor_is_me(r)) /* its own thread looks before it waits */
    poller_wake(r->poller);
}

/* Whoever runs it may be one who only waits, and must not be kept awake by what is not for him: the
 * application has a descriptor of its own. */
void reactor_call_user(struct reactor *r)
{
  if (r->loop && !reactor_is_mine(r))
    poller_call(r->poller, 1);
  reactor_wake(r);
}

void reactor_wake_nested(struct reactor *r)
{
  if (atomic_load(&r->nested))
    poller_wake(r->poller);
}

void ticker_add(struct reactor *r, struct ticker *t, int64_t due)
{
  atomic_store(&t->due, due);
  list_push_back(&r->tickers, &t->node);
}

int ticker_advance(struct ticker *t, int64_t due)
{
  int64_t before = atomic_load(&t->due);

  while (due < before) {
    if (atomic_compare_exchange_weak(&t->due, &before, due))
      return 1;
  }
  return 0;
}

void source_init(struct source *s, struct transport *transport,
                 void (*io)(struct source *, unsigned))
{
  list_init(&s->node);
  s->transport = transport;
  s->events = 0;
  s->deadline = TIME_FOREVER;
  s->broken = 0;
  s->io = io;
}

void reactor_watch(struct reactor *r, struct source *s, unsigned events, int64_t deadline)
{
  s->deadline = deadline;
  s->broken = 0;
  if (!list_linked(&s->node))
    list_push_back(&r->sources, &s->node);
  if (events == s->events)
    return;
  if (poller_set(r->poller, s->transport, s->events, events, s) == 0) {
    s->events = events;
    return;
  }
  s->broken = 1;
  s->deadline = clock_ns() + TRY_AGAIN_NS; /* at once, it would be all that is done here */
}

void reactor_unwatch(struct reactor *r, struct source *s)
{
  if (s->events)
    poller_set(r->poller, s->transport, s->events, 0, s);
  s->events = 0;
  list_remove(&s->node);
}

static void run_jobs(struct reactor *r)
{
  struct list *node;

  for (;;) {
    lock_acquire(&r->lock);
    node = list_first(&r->jobs);
    if (node)
      list_remove(node);
    lock_release(&r->lock);
    if (!node)
      return;
    struct job *job = container_of(node, struct job, node);
    job->run(job);
  }
}

static void run_timers(struct reactor *r)
{
  struct timer *t;

  do {
    struct heap_node *first;

    t = NULL;
    lock_acquire(&r->lock);
    add_own_timers_locked(r);
    first = heap_first(&r->timers);
    if (first && first->key <= clock_ns()) {
      t = container_of(first, struct timer, node);
      heap_remove(&r->timers, first);
      t->hold(t);
    }
    lock_release(&r->lock);
    if (t)
      t->run(t);
  } while (t);
}

static void run_tickers(struct reactor *r, int64_t now)
{
  for (struct list *node = r->tickers.next; node != &r->tickers; node = node->next) {
    struct ticker *t = container_of(node, struct ticker, node);

    if (atomic_load(&t->due) > now)
      continue;
    /* Forget it first: what is advanced during the tick must not be overwritten. */
    atomic_store(&t->due, TIME_FOREVER);
    ticker_advance(t, t->tick(t, now));
  }
}

/* A source's io may take any source off the list, so the search starts again after each call. */
static void expire_sources(struct reactor *r, int64_t now)
{
  struct source *expired;

  do {
    expired = NULL;
    for (struct list *node = r->sources.next; node != &r->sources && !expired; node = node->next) {
      struct source *s = container_of(node, struct source, node);

      if (s->deadline <= now)
        expired = s;
    }
    if (expired)
      expired->io(expired, 0);
  } while (expired);
}

static int64_t earlier(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static int64_t first_due(struct reactor *r)
{
  const struct heap_node *timer;
  int64_t first;

  lock_acquire(&r->lock);
  add_own_timers_locked(r);
  timer = heap_first(&r->timers);
  first = timer ? timer->key : TIME_FOREVER;
  lock_release(&r->lock);
  for (struct list *node = r->sources.next; node != &r->sources; node = node->next)
    first = earlier(first, container_of(node, struct source, node)->deadline);
  for (struct list *node = r->tickers.next; node != &r->tickers; node = node->next)
    first = earlier(first, atomic_load(&container_of(node, struct ticker, node)->due));
  return first;
}

int reactor_calls(struct reactor *r)
{
  return !list_empty(&r->own_callbacks) || atomic_load_explicit(&r->others, memory_order_relaxed) ||
         notices_pending(r->notices);
}

int reactor_busy(struct reactor *r)
{
  int any;

  lock_acquire(&r->lock);
  any = !list_empty(&r->jobs);
  lock_release(&r->lock);
  return any || (!atomic_load(&r->nested) && reactor_calls(r));
}

int64_t reactor_run_due(struct reactor *r)
{
  int64_t now;

  run_timers(r); /* a call whose time is up is not sent by the job that would send it */
  run_jobs(r);
  now = clock_ns(); /* what is due later is due in the next round, at once */
  expire_sources(r, now);
  run_tickers(r, now);
  /* When all have run: each may have set the others' times. */
  return reactor_busy(r) ? 0 : first_due(r);
}

void reactor_step(struct reactor *r, int64_t deadline)
{
  struct poller_event events[EVENTS_PER_WAIT];
  int64_t due = reactor_run_due(r);
  int n;

  n = poller_wait(r->poller, events, EVENTS_PER_WAIT, due < deadline ? due : deadline);
  for (int i = 0; i < n; i++) {
    struct source *s = events[i].tag;
    /* An earlier event of this round may have taken it off. */
    if (list_linked(&s->node) && (events[i].events & s->events))
      s->io(s, events[i].events & s->events);
  }
}
