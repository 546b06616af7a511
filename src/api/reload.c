/* SPDX-License-Identifier: BSD-3-Clause */
/* reload.c - certificates, keys and lists are read again, while everything runs. */
#include "api/client.h"
#include "base/sync.h"
#include "call/reply.h"

/* The old settings stay until the new ones are known to be good. */
static pmx_reply *reload_tls(struct runtime *rt)
{
  char error[TLS_ERROR_SIZE];
  struct tls_context *context;
  pmx_reply *failure;

  if (!rt->node.env.tls)
    return reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE,
                              "pmx_reload_tls: this client has tls=no");
  if (atomic_load(&rt->draining))
    return reply_failure_text(PMX_NOT_RUN, PMX_CAUSE_CLOSED, "the client was closed");
  context = tls_context_new(&rt->fixed, error, sizeof error);
  if (!context) {
    failure = runtime_explain_tls(error);
    notice_log(&rt->notices, PMX_LOG_ERROR, "tls", "%s: the settings in use are kept: %s",
               rt->node.name, pmx_reply_error(failure));
    return failure;
  }
  tls_source_set(rt->node.env.tls, context);
  rt->node.strategy->ops->renew(rt->node.strategy, rt->fixed.tls_retire);
  rt->node.control->ops->renew(rt->node.control, rt->fixed.tls_retire);
  notice_log(&rt->notices, PMX_LOG_INFO, "tls",
             "%s: the settings were read again; connections are replaced within tls.retire",
             rt->node.name);
  return reply_ok();
}

pmx_reply *pmx_reload_tls(pmx_client *c)
{
  int cancel_state = thread_cancel_disable();
  pmx_reply *result = NULL;
  struct runtime *rt = c ? client_runtime(c, &result) : NULL;

  if (rt)
    result = reload_tls(rt);
  else if (!c)
    result = reply_failure_text(PMX_INVALID, PMX_CAUSE_NONE, "the client is NULL");
  thread_cancel_restore(cancel_state);
  return result;
}
