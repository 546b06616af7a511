/* SPDX-License-Identifier: BSD-3-Clause */
/* sanitized.h - whether this program is built with a sanitizer of addresses or threads: some tests
 * do less then. */
#ifndef HARNESS_SANITIZED_H
#define HARNESS_SANITIZED_H

/* The locks of a sanitizer's allocator do not survive a fork: nobody else may be busy then. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

#endif
