/* SPDX-License-Identifier: BSD-3-Clause */
/* version.c - what this library is and what it was built with; and the public clock. */
#include <poolmux/poolmux.h>
#include <hiredis/hiredis.h>
#include "base/clock.h"
#include "base/park.h"

#define TEXT_OF(x) #x
#define VERSION(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)
#if HIREDIS_MAJOR >= 1
#define RESP ", RESP3"
#else
#define RESP ", RESP2"
#endif

/* Linked into this library, and no other is used: see --with-hiredis-reader. */
#ifdef PMX_PRIVATE_READER
#define READER " (private)"
#else
#define READER ""
#endif

const char *pmx_version(void)
{
  return POOLMUX_VERSION;
}

const char *pmx_build_info(void)
{
  return "hiredis " VERSION(HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH) READER RESP ", park="
      PARK_NAME;
}

int64_t pmx_now_ms(void)
{
  return clock_ns() / NS_PER_MS;
}
