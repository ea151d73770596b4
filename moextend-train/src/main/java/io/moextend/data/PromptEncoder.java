package io.moextend.data;

import io.moextend.text.EncodedText;

/** Samples to what a model is asked of them. Any number of threads may encode. */
public sealed interface PromptEncoder permits Encoder, ConversationPrompt {
  /**
   * All turns up to the last of the user, and where the answer begins.
   *
   * @return a row of any length
   * @throws DataException if it cannot be a prompt; names the sample
   */
  EncodedText prompt(Sample sample);

  /**
   * The first question alone: what routes are counted over.
   *
   * @return a row of any length
   * @throws DataException if it cannot be a prompt; names the sample
   */
  EncodedText firstTurn(Sample sample);

  /** Ids of the longest text that a model takes. */
  int maxLength();

  /** Id of the filler behind a row's end. */
  int pad();
}
