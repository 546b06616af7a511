/* SPDX-License-Identifier: BSD-3-Clause */
/* err.c - owns which REDIS_ERR_* hiredis would have set where a call of poolmux failed. */
#include <poolmux/hiredis.h>

/* Of a call that ended NOT_RUN or UNKNOWN. */
static int err_of_cause(pmx_cause cause)
{
  switch (cause) {
  case PMX_CAUSE_TIMEOUT:
#ifdef REDIS_ERR_TIMEOUT
    return REDIS_ERR_TIMEOUT;
#else
    return REDIS_ERR_IO;
#endif
  case PMX_CAUSE_CONNECT:
    return REDIS_ERR_IO;
  case PMX_CAUSE_LOST:
    return REDIS_ERR_EOF;
  case PMX_CAUSE_PROTOCOL:
    return REDIS_ERR_PROTOCOL;
  case PMX_CAUSE_NOMEM:
    return REDIS_ERR_OOM;
  case PMX_CAUSE_NONE:
  case PMX_CAUSE_CANCELED:
  case PMX_CAUSE_DNS:
  case PMX_CAUSE_TLS:
  case PMX_CAUSE_AUTH:
  case PMX_CAUSE_CLOSED:
  case PMX_CAUSE_QUEUE_FULL:
  case PMX_CAUSE_POOL_EXHAUSTED:
  case PMX_CAUSE_CIRCUIT_OPEN:
  case PMX_CAUSE_UNSUPPORTED:
  case PMX_CAUSE_FORKED:
  case PMX_CAUSE_TOO_LARGE:
  case PMX_CAUSE_CONFLICT:
  case PMX_CAUSE_ABORTED:
    break;
  }
  return REDIS_ERR_OTHER;
}

int pmx_hiredis_err(const pmx_reply *reply)
{
  switch (pmx_reply_status(reply)) {
  case PMX_OK:
  case PMX_SERVER_ERROR:
    return 0;
  case PMX_NOMEM:
    return REDIS_ERR_OOM;
  case PMX_NOT_RUN:
  case PMX_UNKNOWN:
    return err_of_cause(pmx_reply_cause(reply));
  case PMX_INVALID:
    break;
  }
  return REDIS_ERR_OTHER;
}
