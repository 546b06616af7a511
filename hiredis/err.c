/* SPDX-License-Identifier: BSD-3-Clause */
/* err.c - owns which REDIS_ERR_* hiredis would have set where a call of poolmux failed. */
#include <errno.h>
#include <poolmux/hiredis.h>

/* hiredis leaves errno as the system has set it, and code for it looks there. */
static int io_err(int why)
{
  errno = why;
  return REDIS_ERR_IO;
}

/* Of a call that ended NOT_RUN or UNKNOWN. A read of a blocking context that takes too long is what
 * the socket says, in all versions: hiredis has REDIS_ERR_TIMEOUT for asynchronous contexts. */
static int err_of_cause(pmx_cause cause)
{
  switch (cause) {
  case PMX_CAUSE_TIMEOUT:
    return io_err(EAGAIN);
  case PMX_CAUSE_CONNECT:
  case PMX_CAUSE_TLS:
    return io_err(EIO); /* what it was is not known any more; never an old EAGAIN */
  case PMX_CAUSE_LOST:
    return REDIS_ERR_EOF;
  case PMX_CAUSE_PROTOCOL:
    return REDIS_ERR_PROTOCOL;
  case PMX_CAUSE_NOMEM:
    return REDIS_ERR_OOM;
  case PMX_CAUSE_NONE:
  case PMX_CAUSE_CANCELED:
  case PMX_CAUSE_DNS:
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
