package io.moextend.data;

import io.moextend.data.Sample.Role;
import io.moextend.data.Sample.Turn;
import io.moextend.text.EncodedText;
import io.moextend.text.ImagePlaces;
import java.util.List;

/**
 * What a model is asked, in one of MoIIE's templates. Any number of threads may ask.
 *
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>, published bunny/eval/model_vqa.py
 */
public record ConversationPrompt(ImagePlaces places, ConversationTemplate template) {
  /**
   * All turns up to the last of the user, and the beginning of the answer.
   *
   * @return a row of any length
   * @throws DataException if user and assistant do not take turns
   */
  public EncodedText of(Sample sample) {
    String text = text(sample);
    return places.widen(places.encode(text), sample.images());
  }

  /** The same as text, with {@code <image>} at the places of images. */
  public String text(Sample sample) {
    List<Turn> turns = sample.fromFirstQuestion();
    boolean answered = turns.getLast().role() == Role.ASSISTANT;
    List<Turn> asked = answered ? turns.subList(0, turns.size() - 1) : turns;
    return template.question(texts(sample, asked));
  }

  /**
   * The turns' texts as templates take them. Where a turn has one image and words before it, the
   * image comes first, on a line of its own, as published.
   *
   * @throws DataException if user and assistant do not take turns
   */
  static List<String> texts(Sample sample, List<Turn> turns) {
    for (int i = 0; i < turns.size(); i++) {
      Role wanted = i % 2 == 0 ? Role.USER : Role.ASSISTANT;
      if (turns.get(i).role() != wanted) {
        throw DataException.at(
            sample.where(),
            "two turns of the %s follow each other (turn %d from the first question on); user and"
                    .formatted(wanted == Role.USER ? "assistant" : "user", i + 1)
                + " assistant must take turns",
            null);
      }
    }
    return turns.stream().map(ConversationPrompt::text).toList();
  }

  private static String text(Turn turn) {
    String text = turn.text();
    if (turn.images().size() != 1 || text.startsWith(ImagePlaces.MARK)) {
      return text;
    }
    return ImagePlaces.MARK + "\n" + PythonText.strip(text.replace(ImagePlaces.MARK, ""));
  }
}
