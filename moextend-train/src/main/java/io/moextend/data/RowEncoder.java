package io.moextend.data;

import java.util.Optional;

/** Samples to rows of ids and labels. Any number of threads may encode. */
public sealed interface RowEncoder permits Encoder, ConversationEncoder {
  /**
   * @return empty where the sample is too long and such are left out
   * @throws DataException if it cannot be a row; names the sample
   */
  Optional<EncodedSample> encode(Sample sample);

  /** Id that closes a learnt answer, which is no word of it; -1 where nothing does. */
  int answerEnd();

  /** Ids of the longest row. */
  int maxLength();

  /** Id of the filler behind a row's end. */
  int pad();
}
