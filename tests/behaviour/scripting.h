/* SPDX-License-Identifier: BSD-3-Clause */
/* scripting.h - what the tests of scripts and scans share: scripts from C strings, runs of them,
 * how often the server has run a command, the elements of a scan. Sees the public header only. */
#ifndef SCRIPTING_H
#define SCRIPTING_H
#include <poolmux/poolmux.h>
#include <stdint.h>

#include "harness/server.h"

pmx_script *script_of(const char *lua); /* or the test fails */
/* With C strings, then NULL; the first nkeys are keys. */
pmx_reply *run_script(pmx_client *, const pmx_call *, pmx_script *, int nkeys, ...)
    __attribute__((sentinel));
/* How often the server was sent it since its start; the name as in INFO commandstats: "evalsha". */
int64_t server_calls(struct server *, const char *command);
/* The failure's status and cause are these, and its text says all of the words, which end with
 * NULL. Frees it. */
void check_fails_saying(pmx_reply *, pmx_status, pmx_cause, ...) __attribute__((sentinel));
/* A scan of a key with C strings, or NULL, as they are. */
pmx_scan *scan_of(pmx_client *, const char *command, const char *key, const char *match, int count);
/* The next element, or NULL at the end; a failure fails the test. */
const pmx_reply *next_of(pmx_scan *);

#endif
