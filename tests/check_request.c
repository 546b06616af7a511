/* SPDX-License-Identifier: BSD-3-Clause */
/* check_request.c - tests the end of a request. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include "base/park.h"
#include "base/sync.h"
#include "call/request.h"
#include "harness/checks.h"

enum { ROUNDS = 2000 };

static _Atomic(struct request *) handed;
static _Atomic int over;

static void *publish_all(void *arg)
{
  (void)arg;
  while (!atomic_load(&over)) {
    struct request *req = atomic_exchange(&handed, NULL);

    if (req)
      request_publish(req);
    else
      sched_yield();
  }
  return NULL;
}

/* A synchronous issuer returns, and what was its request is somebody else's memory. A sanitizer
 * sees who comes late; without one it has to meet the moment. */
START_TEST(nothing_of_a_request_is_touched_after_its_end_is_seen)
{
  pthread_t thread;
  struct request req;
  struct parker parker;

  parker_init(&parker);
  atomic_store(&over, 0);
  ck_assert_int_eq(pthread_create(&thread, NULL, publish_all, NULL), 0);
  for (int i = 0; i < ROUNDS; i++) {
    request_init(&req, REQUEST_COMMAND);
    if (i % 2)
      atomic_store(&req.parker, &parker);
    atomic_store(&handed, &req);
    while (request_state(&req) != REQUEST_ENDED)
      sched_yield();
    memset((void *)&req, 0xff, sizeof req);
  }
  atomic_store(&over, 1);
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  parker_destroy(&parker);
}
END_TEST

static int told;

static void count(struct request *req)
{
  told += request_state(req) == REQUEST_ENDED;
}

START_TEST(an_asynchronous_issuer_is_told_once_and_after_the_end)
{
  struct request req;

  told = 0;
  request_init(&req, REQUEST_COMMAND);
  req.completed = count;
  request_end(&req, NULL);
  ck_assert_int_eq(told, 1);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("request");

  tcase_add_test(tc, nothing_of_a_request_is_touched_after_its_end_is_seen);
  tcase_add_test(tc, an_asynchronous_issuer_is_told_once_and_after_the_end);
  return checks_run("request", tc);
}
