/* SPDX-License-Identifier: BSD-3-Clause */
/* util.c - time, descriptors, threads, the hang guard, random numbers and temporary directories of
 * the tests. Knows nothing of the library or of the other parts of the harness. */
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void harness_die(const char *format, ...)
{
  va_list args;

  va_start(args, format);
  fputs("harness: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(EXIT_FAILURE);
}

void *harness_alloc(size_t size)
{
  void *block = calloc(1, size ? size : 1);

  if (!block)
    harness_die("out of memory (%zu bytes)", size);
  return block;
}

int64_t now_us(void)
{
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t now_ms(void)
{
  return now_us() / 1000;
}

void sleep_ms(int64_t ms)
{
  struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

  if (ms <= 0)
    sched_yield();
  while (ms > 0 && nanosleep(&ts, &ts) != 0 && errno == EINTR)
    ;
}

bool wait_for(bool (*condition)(void *arg), void *arg, int64_t timeout_ms)
{
  int64_t end = now_ms() + timeout_ms;

  while (!condition(arg)) {
    if (now_ms() >= end)
      return false;
    sleep_ms(1);
  }
  return true;
}

static int count_entries(const char *path)
{
  DIR *dir = opendir(path);
  int n = 0;

  if (!dir)
    harness_die("%s: %s", path, strerror(errno));
  for (struct dirent *e = readdir(dir); e; e = readdir(dir))
    if (e->d_name[0] != '.')
      n++;
  closedir(dir);
  return n;
}

int fd_count(void)
{
  return count_entries("/proc/self/fd") - 1; /* the directory's own */
}

int thread_count(void)
{
  return count_entries("/proc/self/task");
}

static void note_thread(void *arg)
{
  *(long *)arg = syscall(SYS_gettid);
}

static bool thread_is_gone(void *arg)
{
  char path[64];

  snprintf(path, sizeof(path), "/proc/self/task/%ld", *(long *)arg);
  return access(path, F_OK) != 0;
}

void thread_count_begin(void)
{
  long id = 0;

  background_join(background_start(note_thread, &id));
  wait_for(thread_is_gone, &id, 2000);
}

bool has_children(void)
{
  siginfo_t info;

  return waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) == 0;
}

struct counts {
  int fds, threads;
};

static bool counts_reached(void *arg)
{
  struct counts *c = arg;

  return fd_count() == c->fds && thread_count() == c->threads;
}

bool settles_at(int fds, int threads, int64_t timeout_ms)
{
  struct counts c = {fds, threads};

  return wait_for(counts_reached, &c, timeout_ms);
}

struct crowd {
  void (*fn)(int i, void *arg);
  void *arg;
  pthread_barrier_t start;
};

struct crowd_member {
  struct crowd *crowd;
  pthread_t id;
  int i;
};

static void *crowd_run(void *arg)
{
  struct crowd_member *m = arg;

  pthread_barrier_wait(&m->crowd->start);
  m->crowd->fn(m->i, m->crowd->arg);
  return NULL;
}

void run_threads(int n, void (*fn)(int i, void *arg), void *arg)
{
  struct crowd crowd = {.fn = fn, .arg = arg};
  struct crowd_member *members = harness_alloc((size_t)n * sizeof(*members));
  int err = n > 0 ? pthread_barrier_init(&crowd.start, NULL, (unsigned)n) : 0;

  for (int i = 0; i < n && !err; i++) {
    members[i].crowd = &crowd;
    members[i].i = i;
    err = pthread_create(&members[i].id, NULL, crowd_run, &members[i]);
  }
  if (err)
    harness_die("run_threads(%d): %s", n, strerror(err));
  for (int i = 0; i < n; i++)
    pthread_join(members[i].id, NULL);
  if (n > 0)
    pthread_barrier_destroy(&crowd.start);
  free(members);
}

struct background {
  pthread_t id;
  void (*fn)(void *arg);
  void *arg;
};

static void *background_run(void *arg)
{
  struct background *b = arg;

  b->fn(b->arg);
  return NULL;
}

struct background *background_start(void (*fn)(void *arg), void *arg)
{
  struct background *b = harness_alloc(sizeof(*b));
  int err;

  b->fn = fn;
  b->arg = arg;
  err = pthread_create(&b->id, NULL, background_run, b);
  if (err)
    harness_die("background_start: %s", strerror(err));
  return b;
}

void background_join(struct background *b)
{
  pthread_join(b->id, NULL);
  free(b);
}

struct guard {
  pthread_mutex_t mutex;
  pthread_cond_t stopped_cond;
  pthread_t id;
  char *test;
  struct timespec end;
  int64_t timeout_ms;
  bool stopped;
};

static void *guard_run(void *arg)
{
  struct guard *g = arg;
  int err = 0;

  pthread_mutex_lock(&g->mutex);
  while (!g->stopped && err != ETIMEDOUT)
    err = pthread_cond_timedwait(&g->stopped_cond, &g->mutex, &g->end);
  if (!g->stopped) {
    char text[256];
    int len = snprintf(text, sizeof(text), "harness: HANG: %s is not done after %lld ms\n", g->test,
                       (long long)g->timeout_ms);

    if (len >= (int)sizeof(text))
      len = (int)sizeof(text) - 1;
    /* No stdio: a hanging thread may hold its lock. */
    if (write(STDERR_FILENO, text, (size_t)len) < 0)
      _exit(EXIT_HANG);
    _exit(EXIT_HANG);
  }
  pthread_mutex_unlock(&g->mutex);
  return NULL;
}

struct guard *guard_start(const char *test, int64_t timeout_ms)
{
  struct guard *g = harness_alloc(sizeof(*g));
  int64_t end = now_us() + timeout_ms * 1000;
  pthread_condattr_t attr;
  int err;

  g->test = strdup(test);
  if (!g->test)
    harness_die("out of memory");
  g->timeout_ms = timeout_ms;
  g->end.tv_sec = (time_t)(end / 1000000);
  g->end.tv_nsec = (long)(end % 1000000) * 1000;
  pthread_mutex_init(&g->mutex, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&g->stopped_cond, &attr);
  pthread_condattr_destroy(&attr);
  err = pthread_create(&g->id, NULL, guard_run, g);
  if (err)
    harness_die("guard_start: %s", strerror(err));
  return g;
}

void guard_stop(struct guard *g)
{
  pthread_mutex_lock(&g->mutex);
  g->stopped = true;
  pthread_cond_signal(&g->stopped_cond);
  pthread_mutex_unlock(&g->mutex);
  pthread_join(g->id, NULL);
  pthread_cond_destroy(&g->stopped_cond);
  pthread_mutex_destroy(&g->mutex);
  free(g->test);
  free(g);
}

void rng_seed(struct rng *rng, uint64_t seed)
{
  /* splitmix64 spreads small seeds; xorshift must not start at zero. */
  uint64_t z = seed + 0x9e3779b97f4a7c15U;

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  z ^= z >> 31;
  rng->state = z ? z : 1;
}

uint64_t rng_next(struct rng *rng)
{
  uint64_t x = rng->state;

  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  rng->state = x;
  return x * 0x2545f4914f6cdd1dU;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
  return bound ? rng_next(rng) % bound : 0;
}

uint64_t rng_fresh(void)
{
  static _Atomic uint64_t calls;
  struct rng mix;

  rng_seed(&mix, (uint64_t)now_us() ^ ((uint64_t)getpid() << 40) ^ (++calls << 20));
  return rng_next(&mix);
}

uint64_t test_seed(const char *test)
{
  const char *text = getenv("POOLMUX_TEST_SEED");
  uint64_t seed = text && *text ? strtoull(text, NULL, 0) : rng_fresh();

  printf("%s: POOLMUX_TEST_SEED=%llu\n", test, (unsigned long long)seed);
  fflush(stdout);
  return seed;
}

void temp_dir_make(char path[TEMP_DIR_SIZE])
{
  const char *base = getenv("TMPDIR");

  /* A Unix socket's path in it must fit into sun_path, so a long TMPDIR cannot be used. */
  if (!base || !*base || strlen(base) > TEMP_DIR_SIZE - sizeof("/poolmux-XXXXXX"))
    base = "/tmp";
  snprintf(path, TEMP_DIR_SIZE, "%s/poolmux-XXXXXX", base);
  if (!mkdtemp(path))
    harness_die("mkdtemp %s: %s", path, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  remove(path);
  return 0;
}

void temp_dir_remove(const char *path)
{
  nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
