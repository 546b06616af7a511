/* SPDX-License-Identifier: BSD-3-Clause */
/* resolve.c - owns name lookups and the threads that wait for getaddrinfo, which has no deadline
 * and cannot be stopped. So a thread owns all it touches: a copy of the name, and a reference to
 * the resolver. Knows nothing of connections, nor of who is woken. Addresses: address.c. */
#include "net/resolve.h"
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include "base/mem.h"
#include "base/sync.h"
#include "base/text.h"
#include "net/address.h"

enum { THREADS_MAX = 2 };

struct resolver {
  struct lock lock;
  struct list queue;   /* jobs no thread has begun */
  struct list running; /* jobs inside getaddrinfo */
  int threads;
  int closed;
};

/* One name on its way through getaddrinfo, for everybody who asked for it meanwhile. */
struct lookup_job {
  struct list node; /* resolver.queue, resolver.running */
  struct list waiters;
  int running;
  enum address_family family;
  char name[];
};

int resolver_open(struct resolver **ret)
{
  struct resolver *r = mem_zalloc(sizeof *r);

  if (!r)
    return ENOMEM;
  lock_init(&r->lock);
  list_init(&r->queue);
  list_init(&r->running);
  *ret = r;
  return 0;
}

/* The last one frees: the owner when no thread runs, else the last thread. */
static void unlock_or_free(struct resolver *r)
{
  int last = r->closed && r->threads == 0;

  lock_release(&r->lock);
  if (!last)
    return;
  lock_destroy(&r->lock);
  mem_free(r);
}

static struct lookup *first_waiter(struct lookup_job *job)
{
  struct list *node = list_first(&job->waiters);

  return node ? container_of(node, struct lookup, node) : NULL;
}

static void leave_locked(struct lookup *l)
{
  list_remove(&l->node);
  l->job = NULL;
}

static void free_job_locked(struct lookup_job *job)
{
  struct lookup *l;

  while ((l = first_waiter(job)) != NULL)
    leave_locked(l);
  list_remove(&job->node);
  mem_free(job);
}

void resolver_close(struct resolver *r)
{
  struct list *node;

  if (!r)
    return;
  lock_acquire(&r->lock);
  r->closed = 1;
  while ((node = list_first(&r->queue)) != NULL)
    free_job_locked(container_of(node, struct lookup_job, node));
  for (node = r->running.next; node != &r->running; node = node->next) {
    struct lookup_job *job = container_of(node, struct lookup_job, node);
    struct lookup *l;

    while ((l = first_waiter(job)) != NULL)
      leave_locked(l);
  }
  unlock_or_free(r);
}

static void fail(struct lookup *l, const char *name, const char *why)
{
  struct text text;

  l->count = 0;
  text_init(&text, l->error, sizeof l->error);
  text_add(&text, "host \"");
  text_add_quoted(&text, name, strlen(name), 80);
  text_add(&text, "\": %s", why);
}

static void answer_locked(struct lookup_job *job, const struct address_set *found, const char *why)
{
  struct lookup *l;

  while ((l = first_waiter(job)) != NULL) {
    leave_locked(l);
    if (why)
      fail(l, job->name, why);
    else
      l->count = address_set_copy(found, l->port, l->addresses);
    l->ready(l);
  }
}

/* Without any lock, for as long as it likes. NULL, or why nothing was found. */
static const char *ask(const struct lookup_job *job, struct address_set *found)
{
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
  int err;

  if (job->family != FAMILY_ANY)
    hints.ai_family = job->family == FAMILY_IPV4 ? AF_INET : AF_INET6;
  err = getaddrinfo(job->name, NULL, &hints, &list);
  if (err == EAI_SYSTEM)
    return "the system's resolver failed";
  if (err)
    return gai_strerror(err);
  for (struct addrinfo *a = list; a; a = a->ai_next)
    address_set_add(found, a->ai_addr, job->family);
  if (list)
    freeaddrinfo(list);
  return found->count ? NULL : "no address of the wanted family";
}

static void resolver_thread(void *arg)
{
  struct resolver *r = arg;
  struct list *node;

  lock_acquire(&r->lock);
  while ((node = list_first(&r->queue)) != NULL) {
    struct lookup_job *job = container_of(node, struct lookup_job, node);
    struct address_set found = {.count = 0};
    const char *why;

    list_remove(node);
    list_push_back(&r->running, node);
    job->running = 1;
    lock_release(&r->lock);
    why = ask(job, &found);
    lock_acquire(&r->lock);
    answer_locked(job, &found, why);
    free_job_locked(job);
  }
  r->threads--;
  unlock_or_free(r);
}

static struct lookup_job *job_in(struct list *jobs, const char *name, enum address_family family)
{
  for (struct list *node = jobs->next; node != jobs; node = node->next) {
    struct lookup_job *job = container_of(node, struct lookup_job, node);

    if (job->family == family && strcmp(job->name, name) == 0)
      return job;
  }
  return NULL;
}

static struct lookup_job *job_new_locked(struct resolver *r, const char *name,
                                         enum address_family family)
{
  size_t size = strlen(name) + 1;
  struct lookup_job *job = mem_alloc(sizeof *job + size);

  if (!job)
    return NULL;
  list_init(&job->waiters);
  job->running = 0;
  job->family = family;
  memcpy(job->name, name, size);
  list_push_back(&r->queue, &job->node);
  return job;
}

/* 0 when a thread will come to the queue. Starting one takes no longer than a lock may be held:
 * here only others who look up names wait for it. */
static int ensure_thread_locked(struct resolver *r)
{
  int err;

  if (r->threads == THREADS_MAX)
    return 0;
  err = thread_start_detached("pmx-resolve", resolver_thread, r);
  if (!err)
    r->threads++;
  return r->threads ? 0 : err;
}

/* NULL, or why the name cannot be asked for. */
static const char *join_locked(struct resolver *r, struct lookup *l, const struct endpoint *e)
{
  struct lookup_job *job = job_in(&r->running, e->host, e->family);

  if (!job)
    job = job_in(&r->queue, e->host, e->family);
  if (!job) {
    job = job_new_locked(r, e->host, e->family);
    if (!job)
      return "out of memory";
    if (ensure_thread_locked(r)) {
      free_job_locked(job);
      return "no thread could be started to look it up";
    }
  }
  l->job = job;
  list_push_back(&job->waiters, &l->node);
  return NULL;
}

int lookup_start(struct resolver *r, struct lookup *l, const struct endpoint *e,
                 void (*ready)(struct lookup *))
{
  const char *why;

  l->count = 0;
  l->error[0] = '\0';
  l->ready = ready;
  l->job = NULL;
  l->port = e->port;
  list_init(&l->node);
  if (address_immediate(l, e))
    return 1;
  lock_acquire(&r->lock);
  why = join_locked(r, l, e);
  lock_release(&r->lock);
  if (why)
    fail(l, e->host, why);
  return why != NULL;
}

void lookup_cancel(struct resolver *r, struct lookup *l)
{
  struct lookup_job *job;

  lock_acquire(&r->lock);
  job = l->job;
  if (job) {
    leave_locked(l);
    if (!job->running && list_empty(&job->waiters))
      free_job_locked(job);
  }
  lock_release(&r->lock);
}
