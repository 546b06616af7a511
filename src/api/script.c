/* SPDX-License-Identifier: BSD-3-Clause */
/* script.c - Lua scripts by their hash: EVALSHA, and EVAL where the server does not know it. Owns
 * the text of a script and its SHA-1, and decides whether a NOSCRIPT is the server's word.
 *
 * At most once (P3). A server that answers EVALSHA with NOSCRIPT has run nothing, so EVAL may
 * follow. But a script may return an error of any text, that of the server included, after it has
 * done things; then a second run would be one too many, and nothing can be found out afterwards:
 * the script may have been loaded by others meanwhile. So
 * - only the text that servers send is taken for it: a script that fails has its place added, an
 *   EVALSHA inside a script is refused with ERR, and what it adds of its own is something else;
 * - a script that could say it itself, because it or one of its arguments has the word in it, or
 *   because it was heard saying so after an EVAL, is sent as a whole each time: it runs once. */
#include "api/series.h"
#include <openssl/evp.h>
#include <string.h>
#include "base/mem.h"
#include "base/text.h"
#include "call/reply.h"
#include "net/tls_context.h"

enum { SHA_BYTES = 20, SHA_TEXT = 2 * SHA_BYTES, HEAD = 3 /* EVALSHA, sha, number of keys */ };

struct pmx_script {
  _Atomic unsigned refs;
  _Atomic int whole; /* never by its hash; once 1 it stays so */
  size_t len;
  const char *lua; /* behind this structure; NULL: none was given */
  char sha[SHA_TEXT + 1];
};

static const char said[] = "NOSCRIPT";

/* ---- making one ---- */

static int mentions(const char *bytes, size_t len)
{
  return memmem(bytes, len, said, sizeof said - 1) != NULL;
}

/* 0: libcrypto has none, or no memory. */
static int hash(const char *bytes, size_t len, char ret[SHA_TEXT + 1])
{
  static const char digits[] = "0123456789abcdef";
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  int done;

  tls_begin();
  fork_hold();
  done = EVP_Digest(bytes, len, sum, &size, EVP_sha1(), NULL);
  fork_let();
  if (!done || size != SHA_BYTES)
    return 0;
  for (size_t i = 0; i < SHA_BYTES; i++) {
    ret[2 * i] = digits[sum[i] >> 4];
    ret[2 * i + 1] = digits[sum[i] & 15];
  }
  ret[SHA_TEXT] = '\0';
  return 1;
}

static pmx_script *script_new(const char *lua, size_t len)
{
  size_t room = lua ? len : 0;
  pmx_script *script =
      room < PTRDIFF_MAX - sizeof *script ? mem_alloc(sizeof *script + room) : NULL;

  if (!script)
    return NULL;
  atomic_init(&script->refs, 1);
  script->len = room;
  script->lua = NULL;
  if (lua)
    script->lua = memcpy(script + 1, lua, room);
  atomic_init(&script->whole, !lua || mentions(lua, room) || !hash(script->lua, room, script->sha));
  return script;
}

pmx_script *pmx_script_new(const char *lua, size_t len)
{
  int cancel_state = thread_cancel_disable();
  pmx_script *script = script_new(lua, len);

  thread_cancel_restore(cancel_state);
  return script;
}

/* Another thread may free it while this one runs it. */
static void script_ref(pmx_script *script)
{
  atomic_fetch_add_explicit(&script->refs, 1, memory_order_relaxed);
}

void pmx_script_free(pmx_script *script)
{
  if (script && atomic_fetch_sub_explicit(&script->refs, 1, memory_order_acq_rel) == 1)
    mem_free(script);
}

/* ---- running it ---- */

static pmx_reply *check(const pmx_script *script, int nkeys, int argc, const char *const *argv)
{
  if (!script->lua)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE,
                              "lua was NULL in pmx_script_new: the text of a script is needed");
  if (argc < 0)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE, "argc is %d: 0 or more is valid", argc);
  if (nkeys < 0 || nkeys > argc)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE,
                         "nkeys is %d: 0 to %d, the number of arguments, is valid", nkeys, argc);
  if (argc > 0 && !argv)
    return reply_failure(PMX_INVALID, PMX_CAUSE_NONE,
                         "argv is NULL and argc is %d: NULL is valid with 0 only", argc);
  return NULL;
}

static void set(struct args *args, int i, const char *bytes, size_t len)
{
  args->argv[i] = bytes;
  args->len[i] = len;
}

static void by_hash(struct args *args, const pmx_script *script)
{
  set(args, 0, "EVALSHA", 7);
  set(args, 1, script->sha, SHA_TEXT);
}

static void by_text(struct args *args, const pmx_script *script)
{
  set(args, 0, "EVAL", 4);
  set(args, 1, script->lua, script->len);
}

/* What servers say, with the ends there are. */
static int script_is_missing(const pmx_reply *reply)
{
  static const char known[] = "NOSCRIPT No matching script";
  static const char *const ends[] = {". Please use EVAL.", ". Please use EVAL", ".", ""};
  const char *text = pmx_reply_error(reply);

  if (pmx_reply_type(reply) != PMX_TYPE_ERROR || strncmp(text, known, sizeof known - 1) != 0)
    return 0;
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    if (strcmp(text + sizeof known - 1, ends[i]) == 0)
      return 1;
  }
  return 0;
}

static int must_be_whole(pmx_script *script, const struct args *args)
{
  if (atomic_load_explicit(&script->whole, memory_order_relaxed))
    return 1;
  for (int i = HEAD; i < args->argc; i++) {
    if (mentions(args->argv[i], args->len[i]))
      return 1;
  }
  return 0;
}

static pmx_reply *try_both(struct series *s, pmx_script *script, struct args *args)
{
  pmx_reply *reply;

  if (!must_be_whole(script, args)) {
    by_hash(args, script);
    reply = series_send(s, args);
    if (!script_is_missing(reply))
      return reply;
    pmx_reply_free(reply);
  }
  by_text(args, script);
  reply = series_send(s, args);
  if (script_is_missing(reply)) /* the script says so: EVAL knows no such answer */
    atomic_store_explicit(&script->whole, 1, memory_order_relaxed);
  return reply;
}

static pmx_reply *run(pmx_client *c, const pmx_call *call, pmx_script *script, struct args *args,
                      pmx_reply *bad_args)
{
  struct series series;
  pmx_reply *reply = series_begin(&series, c, call, bad_args);

  if (!reply)
    reply = try_both(&series, script, args);
  series_end(&series, reply);
  return reply;
}

pmx_reply *pmx_script_run(pmx_client *c, const pmx_call *call, pmx_script *script, int nkeys,
                          int argc, const char *const *argv, const size_t *len)
{
  const char *head[HEAD] = {"", "", NULL};
  int cancel_state;
  struct args args;
  struct text text;
  char number[16];
  pmx_reply *reply;

  if (!script)
    return reply_failure_text(PMX_NOMEM, PMX_CAUSE_NONE, "out of memory: there is no script");
  cancel_state = thread_cancel_disable();
  script_ref(script);
  text_init(&text, number, sizeof number);
  text_add(&text, "%d", nkeys);
  head[HEAD - 1] = number;
  args_init(&args);
  reply = check(script, nkeys, argc, argv);
  if (!reply)
    reply = args_add(&args, HEAD, head, NULL);
  if (!reply)
    reply = args_add(&args, argc, argv, len);
  reply = run(c, call, script, &args, reply);
  args_clear(&args);
  pmx_script_free(script);
  thread_cancel_restore(cancel_state);
  return reply;
}
