/* SPDX-License-Identifier: BSD-3-Clause */
/* command.c - the public ways to send a command on a client. */
#include "api/async.h"
#include "api/call.h"

pmx_reply *pmx_argv(pmx_client *c, const pmx_call *call, int argc, const char *const *argv,
                    const size_t *len)
{
  struct args args;
  pmx_reply *reply;

  args_init(&args);
  reply = call_execute(c, call, &args, args_from_argv(&args, argc, argv, len), NULL, 0);
  args_clear(&args);
  return reply;
}

pmx_reply *pmx_do(pmx_client *c, const pmx_call *call, const char *arg0, ...)
{
  struct args args;
  pmx_reply *reply;
  va_list list;

  args_init(&args);
  va_start(list, arg0);
  reply = args_from_list(&args, arg0, list);
  va_end(list);
  reply = call_execute(c, call, &args, reply, NULL, 0);
  args_clear(&args);
  return reply;
}

pmx_reply *pmx_vcommand(pmx_client *c, const pmx_call *call, const char *format, va_list list)
{
  struct args args;
  pmx_reply *reply;

  args_init(&args);
  reply = call_execute(c, call, &args, args_from_format(&args, format, list), NULL, 0);
  args_clear(&args);
  return reply;
}

pmx_reply *pmx_command(pmx_client *c, const char *format, ...)
{
  pmx_reply *reply;
  va_list list;

  va_start(list, format);
  reply = pmx_vcommand(c, NULL, format, list);
  va_end(list);
  return reply;
}

pmx_reply *pmx_command_call(pmx_client *c, const pmx_call *call, const char *format, ...)
{
  pmx_reply *reply;
  va_list list;

  va_start(list, format);
  reply = pmx_vcommand(c, call, format, list);
  va_end(list);
  return reply;
}

/* ---- callbacks ---- */

/* What is refused is told by the status alone, and why by a line in the log. */
static pmx_status told(pmx_client *c, pmx_reply *failure)
{
  struct runtime *rt;

  if (!failure)
    return PMX_OK;
  rt = atomic_load(&c->runtime);
  if (pmx_reply_status(failure) == PMX_INVALID && rt->fork_generation == fork_generation())
    notice_log(&rt->notices, PMX_LOG_WARN, "call", "%s: pmx_async: %s", rt->node.name,
               pmx_reply_error(failure));
  return pmx_reply_finish(failure);
}

static pmx_status start(pmx_client *c, const pmx_call *call, pmx_reply_fn fn, void *ud,
                        struct args *args, pmx_reply *bad_args)
{
  int cancel_state = thread_cancel_disable();
  struct async_target target = {.fn = fn, .ud = ud};
  pmx_status status = PMX_INVALID;

  if (c && fn)
    status = told(c, async_start(c, call, args, bad_args, &target));
  else
    pmx_reply_free(bad_args);
  args_clear(args);
  thread_cancel_restore(cancel_state);
  return status;
}

pmx_status pmx_async(pmx_client *c, const pmx_call *call, pmx_reply_fn fn, void *ud,
                     const char *format, ...)
{
  struct args args;
  pmx_reply *bad_args;
  va_list list;

  args_init(&args);
  va_start(list, format);
  bad_args = args_from_format(&args, format, list);
  va_end(list);
  return start(c, call, fn, ud, &args, bad_args);
}

pmx_status pmx_async_argv(pmx_client *c, const pmx_call *call, pmx_reply_fn fn, void *ud, int argc,
                          const char *const *argv, const size_t *len)
{
  struct args args;

  args_init(&args);
  return start(c, call, fn, ud, &args, args_from_argv(&args, argc, argv, len));
}
