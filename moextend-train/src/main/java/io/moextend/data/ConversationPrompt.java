package io.moextend.data;

import io.moextend.data.Sample.Role;
import io.moextend.data.Sample.Turn;
import io.moextend.text.EncodedText;
import io.moextend.text.ImagePlaces;
import io.moextend.text.TextException;
import java.util.List;

/**
 * What a model is asked, in one of MoIIE's templates. Any number of threads may ask.
 *
 * @param maxLength ids of the longest text that the model takes
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>, published bunny/eval/model_vqa.py
 */
public record ConversationPrompt(ImagePlaces places, ConversationTemplate template, int maxLength)
    implements PromptEncoder {
  /**
   * All turns up to the last of the user, and the beginning of the answer.
   *
   * @return a row of any length
   * @throws DataException if user and assistant do not take turns
   */
  @Override
  public EncodedText prompt(Sample sample) {
    return encode(sample, asked(sample));
  }

  @Override
  public EncodedText firstTurn(Sample sample) {
    return encode(sample, sample.fromFirstQuestion().subList(0, 1));
  }

  @Override
  public int pad() {
    return ConversationEncoder.pad(template, places.tokenizer());
  }

  private EncodedText encode(Sample sample, List<Turn> turns) {
    List<String> images = turns.stream().flatMap(turn -> turn.images().stream()).toList();
    String text = template.question(texts(sample, turns));
    try {
      return places.widen(places.encode(text), images);
    } catch (TextException e) {
      throw DataException.at(sample.where(), String.valueOf(e.getMessage()), e);
    }
  }

  /** The same as text, with {@code <image>} at the places of images. */
  public String text(Sample sample) {
    return template.question(texts(sample, asked(sample)));
  }

  private static List<Turn> asked(Sample sample) {
    List<Turn> turns = sample.fromFirstQuestion();
    boolean answered = turns.getLast().role() == Role.ASSISTANT;
    return answered ? turns.subList(0, turns.size() - 1) : turns;
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
