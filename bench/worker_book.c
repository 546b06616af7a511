/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_book.c - where the times of calls are written down: each thread in a book of its own,
 * whose times go to the lap with every slice of time, so that a call costs one histogram and no
 * shared line. */
#include "worker_parts.h"

#include <stdlib.h>
#include <string.h>

static struct histogram *make_histogram(void)
{
  struct histogram *h = calloc(1, sizeof *h);

  if (!h)
    die("out of memory");
  return h;
}

static long slice_of(const struct lap *lap, int64_t now)
{
  int64_t slice = (now - lap->begun_ns) / (SLICE_MS * INT64_C(1000000));

  return slice < 0 ? 0 : slice >= MOST_SLICES ? MOST_SLICES - 1 : (long)slice;
}

/* What consumers, subscribers and readers of big values do is no call of a caller, and in no slice.
 */
static int is_sliced(int kind)
{
  return kind != KIND_POP && kind != KIND_MESSAGE && kind != KIND_BIG_READ;
}

static void hand_over(struct lap *lap, struct book *book)
{
  struct histogram **slice = &lap->slices[book->slice];

  pthread_mutex_lock(&lap->lock);
  for (int kind = 0; kind < KINDS; kind++) {
    if (!book->times[kind] || book->times[kind]->count == 0)
      continue;
    if (is_sliced(kind) && !*slice)
      *slice = make_histogram();
    if (is_sliced(kind))
      histogram_merge(*slice, book->times[kind]);
    histogram_merge(&lap->times[kind], book->times[kind]);
    lap->commands[kind] += book->commands[kind];
    histogram_clear(book->times[kind]);
    book->commands[kind] = 0;
  }
  pthread_mutex_unlock(&lap->lock);
}

void book_add(struct lap *lap, struct book *book, enum kind kind, int64_t ns, int commands,
              int64_t now)
{
  long slice = slice_of(lap, now);

  pthread_mutex_lock(&book->lock);
  if (slice != book->slice) {
    hand_over(lap, book);
    book->slice = slice;
  }
  if (!book->times[kind])
    book->times[kind] = make_histogram();
  histogram_add(book->times[kind], ns);
  book->commands[kind] += (uint64_t)commands;
  pthread_mutex_unlock(&book->lock);
}

void lap_collect(struct lap *lap)
{
  for (long i = 0; i < lap->places + lap->plan->workload.subscribers; i++) {
    pthread_mutex_lock(&lap->books[i].lock);
    hand_over(lap, &lap->books[i]);
    lap->books[i].slice = 0;
    pthread_mutex_unlock(&lap->books[i].lock);
  }
}

void lap_forget(struct lap *lap)
{
  pthread_mutex_lock(&lap->lock);
  for (int kind = 0; kind < KINDS; kind++)
    histogram_clear(&lap->times[kind]);
  memset(lap->commands, 0, sizeof lap->commands);
  memset(lap->failed, 0, sizeof lap->failed);
  memset(lap->error, 0, sizeof lap->error);
  lap->failures = 0;
  for (int i = 0; i < MOST_SLICES; i++) {
    free(lap->slices[i]);
    lap->slices[i] = NULL;
  }
  pthread_mutex_unlock(&lap->lock);
  atomic_store(&lap->begun, 0);
  atomic_store(&lap->late, 0);
  atomic_store(&lap->latest_ns, 0);
}

static void remember(struct lap *lap, const char *why)
{
  int i = 0;

  while (i < ERRORS && lap->error[i][0] && strcmp(lap->error[i], why) != 0)
    i++;
  if (i < ERRORS)
    snprintf(lap->error[i], WHY_SIZE, "%s", why);
}

/* A wrong answer makes all figures worthless. */
void lap_trouble(struct lap *lap, enum verdict verdict, const char *why)
{
  if (verdict == VERDICT_WRONG)
    die("%s", why);
  pthread_mutex_lock(&lap->lock);
  remember(lap, why);
  pthread_mutex_unlock(&lap->lock);
}

/* So does a way that only fails. A call counts once, however many of its commands have failed. */
void lap_failure(struct lap *lap, enum kind kind)
{
  pthread_mutex_lock(&lap->lock);
  lap->failed[kind]++;
  if (++lap->failures >= MOST_FAILURES)
    die("%d calls failed, the first one: %s", MOST_FAILURES, lap->error[0]);
  pthread_mutex_unlock(&lap->lock);
}
