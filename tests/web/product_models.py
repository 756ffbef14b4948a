"""The models of the API as they are for products."""

from typing import Final

from dedup.entities.product import PRODUCT
from dedup.web import models
from dedup.web.entity_models import EntityModels

MODELS: Final = EntityModels(PRODUCT)
ProductDetail: Final = MODELS.of(models.EntityDetail)
ProductLine: Final = MODELS.of(models.EntityLine)
ProductList: Final = MODELS.of(models.EntityList)
ProductCheck: Final = MODELS.of(models.CheckResult)
ProductOverview: Final = MODELS.of(models.Overview)
