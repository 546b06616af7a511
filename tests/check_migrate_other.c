/* SPDX-License-Identifier: BSD-3-Clause */
/* check_migrate_other.c - tests libpoolmux-hiredis in a process with another hiredis than it was
 * compiled for: two versions in one process take each other's functions. This program's hiredis
 * makes replies of the other layout, as large as those really are, and nothing is converted. */
#include <poolmux/hiredis.h>
#include <stdlib.h>
#include "harness/checks.h"
#include "migrate_nodes.h"

/* As 0.14 has it, and as everything since 1.0 has. */
struct old_reply {
  int type;
  long long integer;
  size_t len;
  char *str;
  size_t elements;
  struct old_reply **element;
};
struct new_reply {
  int type;
  long long integer;
  double dval;
  size_t len;
  char *str;
  char vtype[4];
  size_t elements;
  struct new_reply **element;
};
#if HIREDIS_MAJOR < 1
typedef struct new_reply other_reply;
#else
typedef struct old_reply other_reply;
#endif

static int made, freed, short_of_memory;

int __wrap_redisReaderGetReply(redisReader *reader, void **ret);
void __wrap_freeReplyObject(void *object);

int __wrap_redisReaderGetReply(redisReader *reader, void **ret)
{
  other_reply *reply = short_of_memory ? NULL : calloc(1, sizeof *reply);

  (void)reader;
  if (!reply)
    return REDIS_ERR;
  reply->type = REDIS_REPLY_STRING;
  reply->str = strdup("layout");
  reply->len = 6;
  *ret = reply;
  made++;
  return REDIS_OK;
}

void __wrap_freeReplyObject(void *object)
{
  other_reply *reply = object;

  free(reply->str);
  free(reply);
  freed++;
}

START_TEST(nothing_is_converted_for_another_hiredis)
{
  pmx_reply *reply = one_of_each(), *rest = NULL;

  short_of_memory = 1; /* no verdict is kept */
  ck_assert_ptr_nonnull(strstr(pmx_hiredis_mismatch(sizeof(redisReply)), "memory"));
  ck_assert_ptr_null(pmx_hiredis_reply(reply));
  short_of_memory = 0;
  ck_assert_ptr_null(pmx_hiredis_reply(reply));
  ck_assert_int_eq(made, 1);
  ck_assert_int_eq(freed, 1);
  ck_assert_ptr_nonnull(
      strstr(pmx_hiredis_mismatch(sizeof(redisReply)), "hiredis of this process"));
  ck_assert_ptr_null(pmx_hiredis_take(reply, &rest));
  ck_assert_ptr_eq(rest, reply);
  ck_assert_int_eq(made, 1); /* a verdict stands */
  pmx_reply_free(rest);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      nothing_is_converted_for_another_hiredis,
  };
  TCase *tc = checks_case("migrate_other");

  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
    tcase_add_test(tc, tests[i]);
  return checks_run("migrate_other", tc);
}
