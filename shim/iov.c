/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>

#include "transfer.h"

ssize_t iov_bytes(const struct iovec *iov, size_t count)
{
    size_t bytes = 0;
    if (count > IOV_MAX)
        return -EINVAL;
    if (count > 0 && !engine_addressable(iov))
        return -EFAULT;
    for (size_t i = 0; i < count; i++) {
        if (iov[i].iov_len > SSIZE_MAX - bytes)
            return -EINVAL;
        bytes += iov[i].iov_len;
    }
    return (ssize_t)bytes;
}

const struct iovec *iov_after(const struct iovec *iov, int *count, size_t done, struct iovec *part)
{
    while (done > 0 && done >= iov->iov_len) {
        done -= iov->iov_len;
        iov++;
        (*count)--;
    }
    if (done == 0)
        return iov;
    part->iov_base = (char *)iov->iov_base + done;
    part->iov_len = iov->iov_len - done;
    *count = 1;
    return part;
}
