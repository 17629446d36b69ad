/* types: the check of each job type, for the table. One file a type. */
#ifndef QUEUE_SPEC_TYPES_H
#define QUEUE_SPEC_TYPES_H

#include "queue/spec.h"

spec_check_fn spec_image_check;
spec_check_fn spec_image_info_check;
spec_check_fn spec_webhook_check;
spec_check_fn spec_email_check;
spec_check_fn spec_noop_check;

#endif
