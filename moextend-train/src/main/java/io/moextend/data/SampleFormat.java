package io.moextend.data;

import com.fasterxml.jackson.databind.JsonNode;
import io.moextend.data.Sample.Role;
import io.moextend.data.Sample.Turn;
import io.moextend.text.ImageMarkup;
import io.moextend.text.Part;
import io.moextend.text.TextException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * The two ways datasets write a sample, told apart sample by sample: LLaVA's ({@code "image"} names
 * files, {@code <image>} marks their places) and the published MoExtend's ({@code
 * <image>path</image>} in the text).
 */
final class SampleFormat {
  private final JsonNode json;
  private final String file;
  private final long number;
  private final String id;

  private SampleFormat(JsonNode json, String file, long number) {
    this.json = json;
    this.file = file;
    this.number = number;
    this.id = json.path("id").isValueNode() ? json.path("id").asText() : "";
  }

  /**
   * @throws DataException if it is no sample; names file, number, id and mend
   */
  static Sample read(JsonNode json, String file, long number, KeptTurns kept) {
    return new SampleFormat(json, file, number).sample(kept);
  }

  private Sample sample(KeptTurns kept) {
    JsonNode conversations = json.path("conversations");
    if (!conversations.isArray() || conversations.isEmpty()) {
      throw wrong("it has no \"conversations\"; add a list of turns, or take the sample out");
    }
    List<String> files = files();
    List<Turn> turns = files.isEmpty() ? named(conversations) : placed(conversations, files);
    int count = kept == KeptTurns.FIRST_ONLY ? Math.min(2, turns.size()) : turns.size();
    if (kept != KeptTurns.ALL_BEHIND_AN_ANSWER && turns.getFirst().role() != Role.USER) {
      throw wrong("its first turn is the assistant's; begin with the user's");
    }
    return new Sample(file, number, id, turns.subList(0, count));
  }

  /** What "image" names: a file, a list of files, or nothing. */
  private List<String> files() {
    JsonNode image = json.path("image");
    if (image.isMissingNode() || image.isNull()) {
      return List.of();
    }
    List<String> files = new ArrayList<>();
    for (JsonNode one : image.isArray() ? image : List.of(image)) {
      if (!one.isTextual() || one.asText().isBlank()) {
        throw wrong("\"image\" is %s; it must be a file name or a list of them".formatted(image));
      }
      files.add(one.asText());
    }
    return files;
  }

  /** Files named in the text, or none at all. */
  private List<Turn> named(JsonNode conversations) {
    List<Turn> turns = new ArrayList<>();
    for (JsonNode turn : conversations) {
      String text = text(turn);
      if (text.contains("<image>") && !ImageMarkup.namesFiles(text)) {
        throw wrong(
            "turn %d has a place for an image and the sample names none; add \"image\", or write"
                    .formatted(turns.size() + 1)
                + " <image>path</image>");
      }
      turns.add(turn(turn, turns.size(), () -> ImageMarkup.paths(text)));
    }
    return turns;
  }

  /** Files named beside, their places marked in the text. */
  private List<Turn> placed(JsonNode conversations, List<String> files) {
    int places = 0;
    for (JsonNode turn : conversations) {
      places += text(turn).split("<image>", -1).length - 1;
    }
    if (places != files.size()) {
      throw wrong(
          "its text has %d <image> and \"image\" names %d files; make them as many"
              .formatted(places, files.size()));
    }
    Iterator<String> next = files.iterator();
    List<Turn> turns = new ArrayList<>();
    for (JsonNode turn : conversations) {
      String text = text(turn);
      if (ImageMarkup.namesFiles(text)) {
        throw wrong(
            "turn %d has </image> although \"image\" names the files; use one way of the two"
                .formatted(turns.size() + 1));
      }
      turns.add(turn(turn, turns.size(), () -> ImageMarkup.placeholders(text, next)));
    }
    return turns;
  }

  private interface Parts {
    List<Part> read();
  }

  private Turn turn(JsonNode turn, int before, Parts parts) {
    Role role = role(turn, before + 1);
    try {
      return new Turn(role, parts.read());
    } catch (TextException e) {
      throw DataException.at(
          Sample.where(file, number, id), "turn %d: %s".formatted(before + 1, e.getMessage()), e);
    }
  }

  private Role role(JsonNode turn, int number) {
    return switch (turn.path("from").asText("")) {
      case "user", "human" -> Role.USER;
      case "assistant", "gpt" -> Role.ASSISTANT;
      default ->
          throw wrong(
              "turn %d is from %s; known are user, human, assistant, gpt"
                  .formatted(
                      number, turn.path("from").isMissingNode() ? "nobody" : turn.get("from")));
    };
  }

  private String text(JsonNode turn) {
    JsonNode value = turn.path("value");
    if (!value.isTextual()) {
      throw wrong(
          "a turn's \"value\" is %s; it must be text"
              .formatted(value.isMissingNode() ? "missing" : value));
    }
    return value.asText();
  }

  private DataException wrong(String whatAndMend) {
    return DataException.at(Sample.where(file, number, id), whatAndMend, null);
  }
}
