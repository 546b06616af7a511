/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_call.c - one call: drawn, answered, judged, written down; and when the next one is due. */
#include "worker_parts.h"

#include <string.h>

static const char last_word[] = "end";

int64_t ticket_due(const struct lap *lap, long ticket)
{
  return lap->begun_ns + (int64_t)((double)ticket * lap->step_ns);
}

void ticket_begun(struct lap *lap, int64_t due_ns, int64_t now_ns)
{
  int64_t late = now_ns - due_ns, latest = atomic_load(&lap->latest_ns);

  if (now_ns < lap->until_ns)
    atomic_fetch_add(&lap->begun, 1);
  if (late > 1000000)
    atomic_fetch_add(&lap->late, 1);
  while (late > latest && !atomic_compare_exchange_weak(&lap->latest_ns, &latest, late))
    continue;
}

long calls_of(const struct lap *lap, int place)
{
  if (lap->most == LONG_MAX)
    return LONG_MAX;
  return lap->most / lap->plan->callers + (place < lap->most % lap->plan->callers);
}

void call_draw(struct call *call, int64_t since_ns)
{
  const struct plan *plan = call->lap->plan;

  if (call->place < plan->callers)
    task_draw(&call->task, &plan->workload, &call->dice, call->place);
  else if (call->place < plan_readers(plan))
    task_pop(&call->task, &plan->workload, call->place - plan->callers);
  else
    task_big_read(&call->task, &plan->workload, call->place - plan_readers(plan));
  task_stamp(&call->task, since_ns);
  call->since_ns = since_ns;
  call->verdict = VERDICT_RIGHT;
  __atomic_store_n(&call->open, call->task.n, __ATOMIC_RELEASE);
}

/* ---- answers ---- */

int call_is_last(const struct call *call)
{
  return call->left == 0 && call->task.kind == KIND_POP;
}

static int says_end(const struct call *call, const struct answer *a)
{
  return call->task.kind == KIND_POP && a->type == ANSWER_PAIR &&
         a->second_len == sizeof last_word - 1 && memcmp(a->second, last_word, a->second_len) == 0;
}

static void judge(struct call *call, int i, const struct answer *a)
{
  const struct workload *w = &call->lap->plan->workload;
  char why[WHY_SIZE];
  enum verdict verdict;

  if (says_end(call, a)) {
    call->left = 0;
    return;
  }
  verdict = task_judge(&call->task, w, i, a, why);
  if (verdict == VERDICT_RIGHT && call->task.kind == KIND_POP)
    workload_element(w, FAMILY_LIST, call->task.commands->index, a->second, a->second_len,
                     &call->since_ns);
  if (verdict == VERDICT_RIGHT)
    return;
  __atomic_store_n(&call->verdict, verdict, __ATOMIC_RELAXED);
  lap_trouble(call->lap, verdict, why);
}

/* The time is that of the last answer, before it is judged: judging a large value takes a while. */
void call_answer(struct call *call, int i, const struct answer *a)
{
  int64_t now = __atomic_load_n(&call->open, __ATOMIC_ACQUIRE) == 1 ? now_ns() : 0;

  judge(call, i, a);
  if (__atomic_sub_fetch(&call->open, 1, __ATOMIC_ACQ_REL) != 0)
    return;
  call->ended_ns = now ? now : now_ns();
  if (call->lap->async)
    flight_over(call);
}

void call_failed(struct call *call, int i, const char *why)
{
  struct answer answer = {.type = ANSWER_FAILURE, .text = why, .len = strlen(why)};

  call_answer(call, i, &answer);
}

/* ---- what follows from it ---- */

static long listeners_of(const struct workload *w, long channel)
{
  long channels = w->subscribers < CHANNELS ? w->subscribers : CHANNELS;

  return w->subscribers / channels + (channel < w->subscribers % channels);
}

/* As the server counts them: a transaction is WATCH, GET, MULTI, SET and EXEC. */
static int commands_of(const struct call *call)
{
  return call->task.kind == KIND_TRANSACTION ? 5 : call->task.n;
}

void call_record(struct call *call)
{
  struct lap *lap = call->lap;
  struct book *book = &lap->books[lap->async ? 0 : call->place];

  if (call_is_last(call))
    return;
  if (call->verdict != VERDICT_RIGHT) {
    lap_failure(lap, call->task.kind);
    return;
  }
  book_add(lap, book, call->task.kind, call->ended_ns - call->since_ns, commands_of(call),
           call->ended_ns);
  if (call->task.kind == KIND_PUSH)
    atomic_fetch_add(&lap->pushed, 1);
  else if (call->task.kind == KIND_POP)
    atomic_fetch_add(&lap->popped, 1);
  else if (call->task.kind == KIND_PUBLISH)
    atomic_fetch_add(&lap->promised,
                     (uint64_t)listeners_of(&lap->plan->workload, call->task.commands->index));
}

/* ---- subscribers ---- */

void listener_ready(struct listener *l)
{
  atomic_fetch_add(&l->lap->ready, 1);
}

int listener_message(struct listener *l, const char *data, size_t len)
{
  int64_t now = now_ns(), stamp = 0;
  struct lap *lap = l->lap;

  if (len == sizeof last_word - 1 && memcmp(data, last_word, len) == 0) {
    atomic_fetch_sub(&lap->listening, 1);
    return 0;
  }
  if (!workload_element(&lap->plan->workload, FAMILY_CHANNEL, l->index, data, len, &stamp))
    lap_trouble(lap, VERDICT_WRONG, "a message of another channel, or none of ours");
  book_add(lap, &lap->books[lap->places + l->place], KIND_MESSAGE, now - stamp, 0, now);
  atomic_fetch_add(&lap->heard, 1);
  return 1;
}

void listener_failed(struct listener *l, const char *why)
{
  die("subscriber of %s: %s", l->channel, why);
}
