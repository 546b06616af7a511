/* SPDX-License-Identifier: BSD-3-Clause */
/* check_migrate_err.c - tests pmx_hiredis_err: what failed is what hiredis would have said, errno
 * included where that is what tells. */
#include <errno.h>
#include <poolmux/hiredis.h>
#include <sys/socket.h>
#include <unistd.h>
#include "decode_tools.h"
#include "harness/checks.h"

static int err_of(pmx_status status, pmx_cause cause)
{
  pmx_reply *failure = reply_failure(status, cause, "made by a test");
  int err = pmx_hiredis_err(failure);

  pmx_reply_free(failure);
  return err;
}

START_TEST(err_is_what_hiredis_would_say)
{
  struct decoder *decoder = wide_decoder();
  pmx_reply *error = decode_one(decoder, "-ERR no\r\n"), *good = decode_one(decoder, "+OK\r\n");

  ck_assert_int_eq(pmx_hiredis_err(good), 0);
  ck_assert_int_eq(pmx_hiredis_err(error), 0); /* that is a reply */
  ck_assert_int_eq(pmx_hiredis_err(NULL), REDIS_ERR_OTHER);
  ck_assert_int_eq(err_of(PMX_NOMEM, PMX_CAUSE_NONE), REDIS_ERR_OOM);
  ck_assert_int_eq(err_of(PMX_INVALID, PMX_CAUSE_UNSUPPORTED), REDIS_ERR_OTHER);
  for (int i = 0; i < 2; i++) {
    pmx_status status = i ? PMX_NOT_RUN : PMX_UNKNOWN;

    ck_assert_int_eq(err_of(status, PMX_CAUSE_TIMEOUT), REDIS_ERR_IO);
    ck_assert_int_eq(err_of(status, PMX_CAUSE_LOST), REDIS_ERR_EOF);
    ck_assert_int_eq(err_of(status, PMX_CAUSE_CONNECT), REDIS_ERR_IO);
    ck_assert_int_eq(err_of(status, PMX_CAUSE_PROTOCOL), REDIS_ERR_PROTOCOL);
    ck_assert_int_eq(err_of(status, PMX_CAUSE_NOMEM), REDIS_ERR_OOM);
    ck_assert_int_eq(err_of(status, PMX_CAUSE_DNS), REDIS_ERR_OTHER);
    ck_assert_int_eq(err_of(status, PMX_CAUSE_TLS), REDIS_ERR_IO);
    ck_assert_int_eq(err_of(status, PMX_CAUSE_POOL_EXHAUSTED), REDIS_ERR_OTHER);
  }
  pmx_reply_free(error);
  pmx_reply_free(good);
  decoder_close(decoder);
}
END_TEST

/* What the hiredis of this process says of a server that goes on, or stops. */
static void ask_hiredis(int hangs_up, int *err, int *error)
{
  const struct timeval limit = {0, 20000};
  redisContext *c;
  int fds[2];

  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  c = redisConnectFd(fds[0]);
  ck_assert_int_eq(redisSetTimeout(c, limit), REDIS_OK);
  if (hangs_up)
    ck_assert_int_eq(shutdown(fds[1], SHUT_WR), 0);
  errno = 0;
  ck_assert_ptr_null(redisCommand(c, "PING"));
  *error = errno;
  *err = c->err;
  redisFree(c);
  close(fds[1]);
}

/* Code that was written for hiredis tells them apart as before. */
START_TEST(a_timeout_is_one_of_hiredis)
{
  int err, error;

  ask_hiredis(0, &err, &error);
  ck_assert_int_eq(error, EAGAIN);
  errno = 0;
  ck_assert_int_eq(err_of(PMX_UNKNOWN, PMX_CAUSE_TIMEOUT), err);
  ck_assert_int_eq(errno, error);
  ck_assert_int_eq(err_of(PMX_NOT_RUN, PMX_CAUSE_CONNECT), REDIS_ERR_IO);
  ck_assert_int_eq(errno, EIO); /* no timeout, whatever was there before */
  errno = EAGAIN;
  ck_assert_int_eq(err_of(PMX_NOT_RUN, PMX_CAUSE_TLS), REDIS_ERR_IO);
  ck_assert_int_eq(errno, EIO);
  ask_hiredis(1, &err, &error);
  errno = ENOENT;
  ck_assert_int_eq(err_of(PMX_UNKNOWN, PMX_CAUSE_LOST), err);
  ck_assert_int_eq(errno, ENOENT);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("migrate_err");

  tcase_add_test(tc, err_is_what_hiredis_would_say);
  tcase_add_test(tc, a_timeout_is_one_of_hiredis);
  return checks_run("migrate_err", tc);
}
