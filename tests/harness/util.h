/* SPDX-License-Identifier: BSD-3-Clause */
/* util.h - small things every test needs: time, descriptors, threads, a hang guard, seeded random
 * numbers, temporary directories. Knows nothing of the library. Where a function here fails, the
 * test program ends with a message: a test cannot go on without it. */
#ifndef HARNESS_UTIL_H
#define HARNESS_UTIL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXIT_SKIP = 77, EXIT_HANG = 99 };

/* Prints "harness: …" and exits with EXIT_FAILURE. */
void harness_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void *harness_alloc(size_t size); /* zeroed; never NULL */

/* ---- time ---- */
int64_t now_us(void); /* CLOCK_MONOTONIC */
int64_t now_ms(void);
void sleep_ms(int64_t ms); /* 0: only lets others run */
/* Polls the condition every millisecond; true as soon as it holds, false after timeout_ms. */
bool wait_for(bool (*condition)(void *arg), void *arg, int64_t timeout_ms);

/* ---- what this process holds ---- */
int fd_count(void);     /* open descriptors */
int thread_count(void); /* threads, those of a sanitizer included: compare two values */
/* Call it before the first of two counts: a sanitizer starts its own thread along with ours. */
void thread_count_begin(void);
bool has_children(void); /* true: a child is running or was not waited for */
/* True as soon as fd_count() and thread_count() are back at these values; a joined thread takes a
 * moment to leave /proc. */
bool settles_at(int fds, int threads, int64_t timeout_ms);

/* ---- threads ---- */
/* Runs fn(0, arg) … fn(n-1, arg) in n threads that start together; returns when all are done. */
void run_threads(int n, void (*fn)(int i, void *arg), void *arg);
struct background;
struct background *background_start(void (*fn)(void *arg), void *arg);
void background_join(struct background *); /* frees it */

/* Ends the program with EXIT_HANG and a message naming the test unless stopped in time. */
struct guard;
struct guard *guard_start(const char *test, int64_t timeout_ms);
void guard_stop(struct guard *); /* frees it */

/* ---- random numbers: the same seed, the same sequence ---- */
struct rng {
  uint64_t state;
};
void rng_seed(struct rng *, uint64_t seed);
uint64_t rng_next(struct rng *);
uint64_t rng_below(struct rng *, uint64_t bound); /* 0 … bound-1; 0 for bound 0 */
uint64_t rng_fresh(void);                         /* a seed that differs between calls */
/* $POOLMUX_TEST_SEED when set, else a fresh one; printed, so that a failure can be repeated. */
uint64_t test_seed(const char *test);

/* ---- temporary directories ---- */
enum { TEMP_DIR_SIZE = 64 };
void temp_dir_make(char path[TEMP_DIR_SIZE]);
void temp_dir_remove(const char *path); /* with everything in it */

#endif
