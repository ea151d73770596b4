/** Update rules and learning-rate schedules. */
@NullMarked
package io.moextend.optim;

import org.jspecify.annotations.NullMarked;
