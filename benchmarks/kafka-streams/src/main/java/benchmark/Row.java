package benchmark;

import com.fasterxml.jackson.annotation.JsonProperty;

/** A row of {@code src_products}. */
record Row(
    @JsonProperty("product_id") long productId,
    @JsonProperty("product_name") String productName,
    @JsonProperty("description") String description,
    @JsonProperty("price") String price,
    @JsonProperty("stock_quantity") int stockQuantity,
    @JsonProperty("discount") String discount,
    @JsonProperty("created_at") String createdAt,
    @JsonProperty("updated_at") String updatedAt,
    @JsonProperty("last_event_id") String lastEventId,
    @JsonProperty("last_action") String lastAction,
    @JsonProperty("last_event_timestamp") String lastEventTimestamp,
    @JsonProperty("last_old_price") String lastOldPrice,
    @JsonProperty("processing_time") String processingTime) {

  static Row of(Event event, String processingTime) {
    Event.Product product = event.product();
    return new Row(
        product.productId(),
        product.productName(),
        product.description(),
        product.price(),
        product.stockQuantity(),
        product.discount(),
        product.createdAt(),
        product.updatedAt(),
        event.eventId(),
        event.action(),
        event.timestamp(),
        event.oldPrice(),
        processingTime);
  }
}
